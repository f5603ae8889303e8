import type { Control } from './control.ts'

export default {
  fault: 'A checkpoint covers turns whose answers its writer has not received.',
  file: 'src/drivers/nats/owned-shard.ts',
  find: 'oldest?.newest ?? Infinity)',
  replace: 'Infinity)',
  test: 'test/nats/views-of-a-shard.test.ts',
  name: 'still under way',
} satisfies Control
