import type { Control } from './control.ts'

export default {
  fault: 'A task that could not be replayed, such as that of a removed agent, does not count.',
  file: 'src/replay/report.ts',
  find: "if (skipped.length > 0) return 'incomplete'",
  replace: '',
  test: 'test/replay/gate.test.ts',
  name: 'on sqlite .*exit code',
} satisfies Control
