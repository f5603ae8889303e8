import type { Control } from './control.ts'

export default {
  fault: 'A live task whose wake-up is missing on the embedded log sleeps forever.',
  file: 'src/drivers/sqlite/missing-wakes.ts',
  find: "if (await submitter.submit({ kind: 'restoreWake', task, version, wake: due }))",
  replace: 'if (version < 0 && due < 0)',
  test: 'test/timers.test.ts',
  name: 'on sqlite: a wake-up',
} satisfies Control
