import type { Control } from './control.ts'

export default {
  fault: 'A batch of several partitions is sent as if all of it were stored in one.',
  file: 'src/drivers/nats/publisher.ts',
  find: 'Map.groupBy(messages, ({ partition }) => partition)',
  replace: 'Map.groupBy(messages, () => 0)',
  test: 'test/nats/partitions.test.ts',
  name: 'has a stream for each',
} satisfies Control
