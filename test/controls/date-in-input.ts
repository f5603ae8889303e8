import type { Control } from './control.ts'

export default {
  fault: 'A tool may ask for a date, which no JSON is, and each of its calls fails.',
  file: 'src/tools/tool.ts',
  find: 'if (never !== undefined)',
  replace: "if (never === '')",
  test: 'test/definitions.test.ts',
  name: 'a date in an input',
} satisfies Control
