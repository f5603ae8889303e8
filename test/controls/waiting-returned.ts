import type { Control } from './control.ts'

export default {
  fault: 'A delivery that waits for room is returned to the server again and again, which looks like dying workers.',
  file: 'src/drivers/nats/shared-member.ts',
  find: '.slice(0, Math.max(0, requests - own))',
  replace: '',
  test: 'test/nats/slots.test.ts',
  name: 'stays where it is',
} satisfies Control
