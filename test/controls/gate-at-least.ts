import type { Control } from './control.ts'

export default {
  fault: 'It does not count how many tasks were replayed.',
  file: 'src/replay/report.ts',
  find: "if (tasks < atLeast) return 'nothing'",
  replace: '',
  test: 'test/replay/gate.test.ts',
  name: 'on sqlite .*exit code',
} satisfies Control
