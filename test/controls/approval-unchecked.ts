import type { Control } from './control.ts'

export default {
  fault: 'A grant runs whatever the schema makes of the input by then.',
  file: 'src/tools/approval.ts',
  find: 'if (hash === approvalHash(tool, input, key)) return input',
  replace: 'if (hash !== key) return input',
  test: 'test/approval-input.test.ts',
  name: 'fails the call',
} satisfies Control
