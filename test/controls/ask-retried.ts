import type { Control } from './control.ts'

export default {
  fault: 'The end of a retried task does not reach the process that asked.',
  file: 'src/replay/retry.ts',
  find: '    ...caller,\n',
  replace: '',
  test: 'test/ask.test.ts',
  name: 'gives a retried task its new result',
} satisfies Control
