import type { Control } from './control.ts'

export default {
  fault: 'A tool of another declared version runs with the approval of the one before.',
  file: 'src/tools/approval.ts',
  find: 'version: options.version ?? 1, input',
  replace: 'input',
  test: 'test/approval-input.test.ts',
  name: 'of another version',
} satisfies Control
