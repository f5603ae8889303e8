import type { Control } from './control.ts'

export default {
  fault:
    'The janitor looks for live tasks before it reads where the partitions end, and so purges a task that begins in between.',
  file: 'src/drivers/nats/janitor.ts',
  find: `    const heads = await Promise.all(this.#log.partitions.map(stream => stream.head()))
    const tasks = await this.#liveTasks()
`,
  replace: `    const tasks = await this.#liveTasks()
    const heads = await Promise.all(this.#log.partitions.map(stream => stream.head()))
`,
  test: 'src/drivers/nats/nats.test.ts',
  name: 'a task that begins during a purge keeps its journal',
} satisfies Control
