import type { Control } from './control.ts'

export default {
  fault: 'A shared group has no consumer in the last partition.',
  file: 'src/drivers/nats/groups.ts',
  find: `if (mode === 'shared') return partitions.map(`,
  replace: `if (mode === 'shared') return partitions.slice(0, 2).map(`,
  test: 'test/nats/partitions.test.ts',
  name: 'each have their own start',
} satisfies Control
