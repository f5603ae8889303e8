import type { Control } from './control.ts'

export default {
  fault: 'A secret that reaches over several parts of an answer stays in them, though its text is redacted.',
  file: 'src/bus/redact-answer.ts',
  find: 'if (isSame || own.length === 0 ||',
  replace: 'if (isSame || own.length >= 0 ||',
  test: 'test/models/redacted.test.ts',
  name: 'leaves no half of a secret',
} satisfies Control
