import type { Control } from './control.ts'

export default {
  fault: 'Results of tools go back in the order in which they came.',
  file: 'src/models/messages.ts',
  find: 'content: answers.content.toSorted((a, b) => callIndex(a) - callIndex(b))',
  replace: 'content: answers.content.toSorted((a, b) => 0 * (callIndex(a) - callIndex(b)))',
  test: 'test/models/thinking.test.ts',
  name: 'on sqlite .* in the order of the calls',
} satisfies Control
