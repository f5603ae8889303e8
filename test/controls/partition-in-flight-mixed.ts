import type { Control } from './control.ts'

export default {
  fault: 'Deliveries of two partitions with equal offsets are taken for one.',
  file: 'src/drivers/nats/in-flight-window.ts',
  find: 'seq * maxPartitions + consumer.partition',
  replace: 'seq * maxPartitions + consumer.partition * 0',
  test: 'test/nats/partitions.test.ts',
  name: 'do not share the place',
} satisfies Control
