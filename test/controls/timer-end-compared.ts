import type { Control } from './control.ts'

export default {
  fault: 'A comparison that began before a task ended brings the task back.',
  file: 'src/drivers/nats/owned-shard.ts',
  find: `    if ((this.#ended.get(task) ?? 0) > view.begun) return
    logger.warn`,
  replace: '    logger.warn',
  test: 'test/nats/views-of-a-shard.test.ts',
  name: 'by which what is known is compared',
} satisfies Control
