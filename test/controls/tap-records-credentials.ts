import type { Control } from './control.ts'

export default {
  fault: 'A tap records the credentials of requests.',
  file: 'src/taps/headers.ts',
  find: 'if (isCredentialHeader(key)) continue',
  replace: "if (key === 'cookie' && isCredentialHeader(key)) continue",
  test: 'test/taps/model-tap.test.ts',
  name: 'the messages API of Anthropic',
} satisfies Control
