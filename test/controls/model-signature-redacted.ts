import type { Control } from './control.ts'

export default {
  fault: 'A rule of redaction breaks a signature in which it finds something by chance.',
  file: 'src/bus/redact-answer.ts',
  find: "if (typeof each === 'string' && opaqueNames.test(key) && opaqueText.test(each))",
  replace: "if (typeof each === 'string' && opaqueNames.test(key) && opaqueText.test(each) && key === '')",
  test: 'test/models/redacted.test.ts',
  name: 'on sqlite .* on Anthropic',
} satisfies Control
