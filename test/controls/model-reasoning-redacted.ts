import type { Control } from './control.ts'

export default {
  fault: 'Reasoning that was redacted goes back with the signature of what it was.',
  file: 'src/bus/redact-answer.ts',
  find: 'return { ...body, redacted: true }',
  replace: 'return { ...body, providerMetadata: metadata }',
  test: 'test/models/redacted.test.ts',
  name: 'on sqlite .* is not given back to Anthropic',
} satisfies Control
