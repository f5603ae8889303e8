import type { Control } from './control.ts'

export default {
  fault: 'A partition that was lost begins again at offset 1, below what groups and cursors have.',
  file: 'src/drivers/nats/provision.ts',
  find: '...(wasUsed && { first_seq: Date.now() * maxEventsPerMs }),',
  replace: '',
  test: 'test/nats/lost-partition.test.ts',
  name: 'of 3 while they are down',
} satisfies Control
