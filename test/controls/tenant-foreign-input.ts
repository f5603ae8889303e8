import type { Control } from './control.ts'

export default {
  fault: 'An event of another tenant in the same correlation reaches a task.',
  file: 'src/tasks/task-decider.ts',
  find: 'if (input.event.tenant !== tenant)',
  replace: "if (input.event.tenant === '')",
  test: 'test/identity/tenants.test.ts',
  name: 'ends no wait and feeds no instance',
} satisfies Control
