import type { Control } from './control.ts'

export default {
  fault: 'A writer does not look at the wake-ups that other processes set.',
  patches: [
    {
      file: 'src/drivers/sqlite/writer/writer.ts',
      find: `    this.#groups.rebalance()
    this.#wakes.rewind()
  }`,
      replace: `    this.#groups.rebalance()
  }`,
    },
    {
      file: 'src/drivers/sqlite/writer/writer.ts',
      find: `    this.#wakes.rewind()
    if (this.#suspended)`,
      replace: `    if (this.#suspended)`,
    },
  ],
  test: 'test/sqlite-timers.test.ts',
} satisfies Control
