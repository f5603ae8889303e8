import type { Control } from './control.ts'

export default {
  fault: 'A live task whose wake-up is missing in the checkpoint of a shard on NATS sleeps for ever.',
  file: 'src/drivers/nats/sharded-member.ts',
  find: 'if (!entry.state.isComplete) return',
  replace: 'if (entry.state.live) return',
  test: 'test/timers.test.ts',
  name: 'on nats: a wake-up',
} satisfies Control
