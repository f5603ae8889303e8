import type { Control } from './control.ts'

export default {
  fault: 'A message that comes after the other agent ended counts as taken, though no model reads it.',
  file: 'src/agents/model-loop.ts',
  find: 'if (state.successor === undefined) for (const each of inputs)',
  replace: 'for (const each of inputs)',
  test: 'test/conversations.test.ts',
  name: 'whenever it comes in a hand-over',
} satisfies Control
