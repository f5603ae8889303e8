import type { Control } from './control.ts'

export default {
  fault: 'Tasks whose partition was lost are kept by the checkpoint.',
  file: 'src/drivers/nats/checkpoint.ts',
  find: 'if (seq >= beginsAt) live',
  replace: 'if (seq >= 0 * beginsAt) live',
  test: 'test/nats/lost-partition.test.ts',
  name: 'of 3 while they are down',
} satisfies Control
