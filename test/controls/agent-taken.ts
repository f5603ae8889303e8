import type { Control } from './control.ts'

export default {
  fault: 'Two apps on one log host agents of one name, and each is handed the inputs of the tasks of the other.',
  file: 'src/tasks/hosts.ts',
  find: 'if (await bus.hasMembers(appGroup(other)))',
  replace: 'if (false as boolean)',
  test: 'test/bounds/names.test.ts',
  name: 'cannot host an agent',
} satisfies Control
