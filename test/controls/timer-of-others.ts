import type { Control } from './control.ts'

export default {
  fault: 'A writer does not see the wake-ups that other processes set.',
  patches: [
    {
      file: 'src/drivers/sqlite/writer/log-writer.ts',
      find: `    this.groups.rebalance()
    this.#wakes.rewind()
  }`,
      replace: `    this.groups.rebalance()
  }`,
    },
    {
      file: 'src/drivers/sqlite/writer/log-writer.ts',
      find: `    this.#wakes.rewind()
    if (this.#isSuspended)`,
      replace: `    if (this.#isSuspended)`,
    },
  ],
  test: 'test/sqlite-timers.test.ts',
} satisfies Control
