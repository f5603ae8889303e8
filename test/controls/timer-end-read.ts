import type { Control } from './control.ts'

export default {
  fault: 'A reading that began before a task ended brings the task back.',
  file: 'src/drivers/nats/owned-shard.ts',
  find: `    if ((this.#ended.get(task) ?? 0) > view.begun) return
    if ((this.live.get(task)?.seq ?? 0) < state.seq) this.#set(task, state)`,
  replace: `    if ((this.live.get(task)?.seq ?? 0) < state.seq) this.#set(task, state)`,
  test: 'test/nats/views-of-a-shard.test.ts',
  name: 'older than the end',
} satisfies Control
