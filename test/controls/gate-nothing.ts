import type { Control } from './control.ts'

export default {
  fault: 'A replay that replayed nothing is green.',
  file: 'src/replay/report.ts',
  find: "return tasks === 0 ? 'nothing' : 'same'",
  replace: "return 'same'",
  test: 'test/replay/gate.test.ts',
  name: 'on sqlite .*empty log',
} satisfies Control
