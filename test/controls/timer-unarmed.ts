import type { Control } from './control.ts'

export default {
  fault: 'A live task whose wake-up is missing on the embedded log sleeps for ever.',
  file: 'src/drivers/sqlite/unarmed.ts',
  find: "if (await line.submit(['rearm', task, version, due]))",
  replace: 'if (version < 0 && due < 0)',
  test: 'test/timers.test.ts',
  name: 'on sqlite: a wake-up',
} satisfies Control
