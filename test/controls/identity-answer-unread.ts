import type { Control } from './control.ts'

export default {
  fault: 'A request that waits for its answer starts the task before the right to read it is checked.',
  file: 'src/gateway/commands/tasks.ts',
  find: "if (waits) assertMay(c.var.principal, 'read', 'agent.invoke')",
  replace: '',
  test: 'test/identity/identity.test.ts',
  name: 'only streams take a ticket',
} satisfies Control
