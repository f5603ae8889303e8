import type { Control } from './control.ts'

export default {
  fault: 'Signatures are not given back to the provider that made them.',
  file: 'src/models/messages.ts',
  find: 'const options = part.providerMetadata && { providerOptions: part.providerMetadata }',
  replace: 'const options = part.providerMetadata && { providerOptions: {} }',
  test: 'test/models/thinking.test.ts',
  name: 'on sqlite .* on Gemini 3',
} satisfies Control
