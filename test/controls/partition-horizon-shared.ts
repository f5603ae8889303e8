import type { Control } from './control.ts'

export default {
  fault: 'The janitor purges all partitions up to the horizon of the first.',
  file: 'src/drivers/nats/janitor.ts',
  find: 'horizons.map(({ horizon }) => horizon)',
  replace: 'horizons.map(() => horizons[0]!.horizon)',
  test: 'test/nats/partitions.test.ts',
  name: 'are each purged',
} satisfies Control
