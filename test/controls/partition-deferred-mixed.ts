import type { Control } from './control.ts'

export default {
  fault: 'Deferred deliveries of two partitions with equal offsets share a document.',
  file: 'src/drivers/nats/deferred-deliveries.ts',
  find: '(partition === 0 ? offset : `${offset}-${partition}`)',
  replace: '(partition < 0 ? partition : offset)',
  test: 'test/nats/partitions.test.ts',
  name: 'do not share the place',
} satisfies Control
