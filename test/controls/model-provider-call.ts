import type { Control } from './control.ts'

export default {
  fault: 'A call that the provider executed is taken for a call of the agent.',
  file: 'src/models/answer.ts',
  find: "part => part.type === 'tool-call' && !part.providerExecuted)",
  replace: "part => part.type === 'tool-call')",
  test: 'test/models/parts.test.ts',
  name: 'on sqlite .* that the provider executed',
} satisfies Control
