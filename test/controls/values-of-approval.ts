import type { Control } from './control.ts'

export default {
  fault: 'A function that says whether a person must approve changes what the tool is called with.',
  file: 'src/tools/approval.ts',
  find: 'approval(copyOf(input)) !== false',
  replace: 'approval(input) !== false',
  test: 'test/values/values.test.ts',
  name: 'whether a person must approve',
} satisfies Control
