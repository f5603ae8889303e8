import type { Control } from './control.ts'

export default {
  fault: 'A process that finds a partition lost when it starts does not report it.',
  file: 'src/drivers/nats/log-recovery.ts',
  find: 'if (recreated.length > 0) queueMicrotask',
  replace: 'if (recreated.length < 0) queueMicrotask',
  test: 'test/nats/lost-partition.test.ts',
  name: 'of 3 while they are down',
} satisfies Control
