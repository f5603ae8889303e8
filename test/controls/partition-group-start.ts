import type { Control } from './control.ts'

export default {
  fault: 'A group starts in all partitions where it starts in the first.',
  file: 'src/drivers/nats/groups.ts',
  find: 'start[partition]!',
  replace: 'start[0]!',
  test: 'test/nats/partitions.test.ts',
  name: 'each have their own start',
} satisfies Control
