import type { Control } from './control.ts'

export default {
  fault: 'A task that an event started is not found by its id.',
  file: 'src/ask/find-task.ts',
  find: 'this.#start ??= { program, start: inputs[0] ?? event }',
  replace: 'void [program, inputs]',
  test: 'test/commands.test.ts',
  name: 'shows and cancels a task that an event started, and waits for it',
} satisfies Control
