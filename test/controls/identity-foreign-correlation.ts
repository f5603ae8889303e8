import type { Control } from './control.ts'

export default {
  fault: 'A tenant publishes into a correlation of another one.',
  file: 'src/gateway/identity/ownership.ts',
  find: 'if (event.tenant === tenant) return',
  replace: 'if (event.tenant !== undefined) return',
  test: 'test/identity/identity.test.ts',
  name: 'two tenants may use the same id',
} satisfies Control
