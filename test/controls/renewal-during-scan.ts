import type { Control } from './control.ts'

export default {
  fault: 'A member that renews its lease while the members are read counts as gone.',
  file: 'src/drivers/nats/stream.ts',
  find: 'this.scan({ subject, until: Infinity })',
  replace: 'this.scan({ subject })',
  test: 'test/nats/membership.test.ts',
  name: 'include those that renew',
} satisfies Control
