import type { Control } from './control.ts'

export default {
  fault: 'A member that renews its lease while the members are read counts as gone.',
  file: 'src/drivers/nats/membership.ts',
  find: 'if (owner === null || found.has(owner)) continue',
  replace: 'if (owner !== undefined) continue',
  test: 'test/nats/membership.test.ts',
  name: 'include an owner',
} satisfies Control
