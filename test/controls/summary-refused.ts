import type { Control } from './control.ts'

export default {
  fault: 'A model that refuses to summarise loses the conversation to its refusal.',
  file: 'src/agents/loop-state.ts',
  find: " && ['whole', 'length'].includes(endOf(result))",
  replace: '',
  test: 'src/agents/context.test.ts',
  name: 'refuses to give one',
} satisfies Control
