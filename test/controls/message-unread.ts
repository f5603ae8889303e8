import type { Control } from './control.ts'

export default {
  fault: 'A message of the user that comes while the model gives its last answer is never read.',
  file: 'src/agents/model-loop.ts',
  find: 'if (result.toolCalls.length === 0 && hasUnread(state) && !isRefused) return ask(state, ctx)',
  replace: '',
  test: 'src/agents/messages.test.ts',
  name: 'while the model answers',
} satisfies Control
