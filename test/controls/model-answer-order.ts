import type { Control } from './control.ts'

export default {
  fault: 'Results of tools go back in the order in which they came.',
  file: 'src/models/messages.ts',
  find: 'toSorted((a, b) => indexOf(a) - indexOf(b))',
  replace: 'toSorted((a, b) => 0 * (indexOf(a) - indexOf(b)))',
  test: 'test/models/thinking.test.ts',
  name: 'on sqlite .* in the order of the calls',
} satisfies Control
