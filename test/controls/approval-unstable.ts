import type { Control } from './control.ts'

export default {
  fault: 'A person approves a value that is another one when the tool runs.',
  file: 'src/tools/approval.ts',
  find: 'if (unstable === undefined) return input',
  replace: 'if (unstable !== input) return input',
  test: 'test/approval-input.test.ts',
  name: 'no approval is requested',
} satisfies Control
