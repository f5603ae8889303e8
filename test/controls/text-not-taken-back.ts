import type { Control } from './control.ts'

export default {
  fault: 'The text of a failed attempt stays, beside the answer on the log.',
  file: 'src/ask/parts.ts',
  find: `? [...restarts(of, [begun]), ...pieces(of, [part])]`,
  replace: `? pieces(of, [part])`,
  test: 'src/ask/parts.test.ts',
  name: 'ends with the text on the log',
} satisfies Control
