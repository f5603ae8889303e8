import type { Control } from './control.ts'

export default {
  fault: 'A tenant reads the result of a task of another one.',
  file: 'src/ask/find-task.ts',
  find: 'if (event.tenant === tenant) await finder.see(event)',
  replace: 'await finder.see(event)',
  test: 'test/identity/canary.test.ts',
  name: 'no byte of a tenant',
} satisfies Control
