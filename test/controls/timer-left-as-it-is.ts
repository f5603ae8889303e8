import type { Control } from './control.ts'

export default {
  fault: 'A turn without a wake-up leaves the wake-up of its task as it is.',
  patches: [
    {
      file: 'src/drivers/sqlite/writer/turn-store.ts',
      find: 'const changed = expect === 0 || this.#sql.setWake.run(wake, task).changes !== 0',
      replace: 'const changed = expect === 0 || (wake !== null && this.#sql.setWake.run(wake, task).changes !== 0)',
    },
  ],
  test: 'test/sqlite-timers.test.ts',
} satisfies Control
