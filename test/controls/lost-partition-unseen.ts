import type { Control } from './control.ts'

export default {
  fault: 'Nobody notices that a stream is missing while the server stays connected.',
  file: 'src/drivers/nats/connection.ts',
  find: 'error.code === codes.noStream || error.code === codes.noResponders',
  replace: 'error.code < 0',
  test: 'test/nats/lost-partition.test.ts',
  name: 'of 3 while workers run',
} satisfies Control
