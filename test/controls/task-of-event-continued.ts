import type { Control } from './control.ts'

export default {
  fault: 'A task that an event started seems to run forever once it has continued as another one.',
  file: 'src/ask/find-task.ts',
  find: 'if (successor !== undefined) this.#chain.add(successor)',
  replace: 'void successor',
  test: 'test/commands.test.ts',
  name: 'shows and cancels a task that an event started, and waits for it',
} satisfies Control
