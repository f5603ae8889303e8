import type { Control } from './control.ts'

export default {
  fault: 'A list across partitions is in the order of positions, so that the events of a quiet partition seem old.',
  file: 'src/trace/index/lookup.ts',
  find: 'b.time - a.time || b.pos - a.pos',
  replace: 'b.pos - a.pos',
  test: 'test/partition-order.test.ts',
  name: 'lists of the index',
} satisfies Control
