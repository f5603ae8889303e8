import type { Control } from './control.ts'

export default {
  fault: 'The events of a turn are looked for again although a reading of the shard has covered it.',
  file: 'src/drivers/nats/owned-shard.ts',
  find: 'turn.seq <= this.#readTo || ',
  replace: '',
  test: 'test/nats/views-of-a-shard.test.ts',
  name: 'that covers a turn',
} satisfies Control
