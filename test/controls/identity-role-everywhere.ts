import type { Control } from './control.ts'

export default {
  fault: 'A role counts in tenants for which it is not meant.',
  file: 'src/gateway/identity/policy.ts',
  find: '|| role.tenants?.includes(tenant) === false',
  replace: '',
  test: 'test/identity/identity.test.ts',
  name: 'a role permits only its types',
} satisfies Control
