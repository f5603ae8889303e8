import type { Control } from './control.ts'

export default {
  fault: 'Conversations that begin with the same words are one, whatever their instructions.',
  file: 'src/taps/model/conversation-chain.ts',
  find: "const instructionsOf = ({ instructions = '' }: AskedModel) => hash('sha256', instructions).slice(0, 16)",
  replace: "const instructionsOf = (_: AskedModel) => hash('sha256', '').slice(0, 16)",
  test: 'test/taps/model-tap.test.ts',
  name: 'a chain goes on after a restart',
} satisfies Control
