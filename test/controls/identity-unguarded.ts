import type { Control } from './control.ts'

export default {
  fault: 'The gateway serves other machines without knowing who they are.',
  file: 'src/gateway/identity/guard.ts',
  find: 'if (policy !== undefined || isLoopback(host)) return',
  replace: 'if (policy !== undefined || host) return',
  test: 'test/identity/identity.test.ts',
  name: 'does not start without a policy',
} satisfies Control
