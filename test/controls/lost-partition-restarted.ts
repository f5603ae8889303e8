import type { Control } from './control.ts'

export default {
  fault: 'A reader of an intact log starts over when another partition was lost.',
  file: 'src/drivers/nats/log-recovery.ts',
  find: 'lost.filter(i => found[i]!.beginsAt === 1)',
  replace: 'found.keys()',
  test: 'test/nats/lost-partition.test.ts',
  name: 'of 3 while workers run',
} satisfies Control
