import type { Control } from './control.ts'

export default {
  fault: 'A member of a limited group on a log with several partitions holds more than its slots.',
  file: 'src/drivers/nats/shared-member.ts',
  find: 'Math.min(maxInFlight, slots.kept)',
  replace: 'maxInFlight',
  test: 'test/nats/slots.test.ts',
  name: 'is kept with 3 partitions',
} satisfies Control
