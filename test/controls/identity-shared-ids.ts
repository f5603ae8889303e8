import type { Control } from './control.ts'

export default {
  fault: 'A tenant takes the id of another one.',
  file: 'src/bus/admit.ts',
  find: 'tenant === defaultTenant ? id : tenantId(tenant, id)',
  replace: 'id',
  test: 'test/identity/identity.test.ts',
  name: 'two tenants may use the same id',
} satisfies Control
