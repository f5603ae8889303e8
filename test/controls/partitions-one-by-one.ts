import type { Control } from './control.ts'

export default {
  fault: 'A redrive, an export or a tail reads one partition after the other.',
  file: 'src/bus/read-by-time.ts',
  find: 'bus.partitions === 1',
  replace: 'bus.partitions > 0',
  test: 'test/partition-order.test.ts',
  name: 'the order of time',
} satisfies Control
