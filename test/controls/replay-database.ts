import type { Control } from './control.ts'

export default {
  fault: 'A replay writes to a database.',
  file: 'src/replay/isolation.ts',
  find: '  areFilesClosed = true\n',
  replace: '',
  test: 'test/replay/processes.test.ts',
  name: 'on sqlite .*reaches',
} satisfies Control
