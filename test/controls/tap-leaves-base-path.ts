import type { Control } from './control.ts'

export default {
  fault: 'A tap forwards to paths above that of its upstream.',
  file: 'src/taps/upstream.ts',
  find: 'if (dotSegment.test(path)) return',
  replace: "if (dotSegment.test('')) return",
  test: 'src/taps/forward.test.ts',
  name: 'only paths below',
} satisfies Control
