import type { Control } from './control.ts'

export default {
  fault: 'Code that looks at the clock or draws by chance diverges without a hint.',
  file: 'src/replay/process-main.ts',
  find: '  watchNondeterminism()\n',
  replace: '',
  test: 'test/replay/processes.test.ts',
  name: 'on sqlite .*hints',
} satisfies Control
