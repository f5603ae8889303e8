import type { Control } from './control.ts'

export default {
  fault: 'The requests of a task use its input, not the message that the agent made of it.',
  file: 'src/agents/loop-state.ts',
  find: 'state.first ??= {',
  replace: 'if (state.steps > 99) state.first ??= {',
  test: 'src/agents/prompt.test.ts',
  name: 'all its requests refer to it',
} satisfies Control
