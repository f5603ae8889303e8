import type { Control } from './control.ts'

export default {
  fault: 'A role without operate reads the metrics.',
  file: 'src/gateway/routes.ts',
  find: "assertMay(c.var.principal, 'operate')",
  replace: '',
  test: 'test/identity/identity.test.ts',
  name: 'health shows only the status',
} satisfies Control
