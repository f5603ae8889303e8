import type { Control } from './control.ts'

export default {
  fault: 'A text that was redacted is given back by reference, so that the model reads it in clear.',
  file: 'src/bus/redact-answer.ts',
  find: '...(isSame && providerMetadata !== undefined &&',
  replace: '...(providerMetadata !== undefined &&',
  test: 'test/models/redacted.test.ts',
  name: 'on sqlite .* not by reference',
} satisfies Control
