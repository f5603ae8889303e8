import type { Control } from './control.ts'

export default {
  fault: 'Tenants share the workflow instance of a key.',
  file: 'src/tasks/instances.ts',
  find: 'JSON.stringify([tenant, program, key])',
  replace: 'JSON.stringify([program, key])',
  test: 'test/identity/tenants.test.ts',
  name: 'instances of one key are apart',
} satisfies Control
