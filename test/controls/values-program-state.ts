import type { Control } from './control.ts'

export default {
  fault: 'A program in memory goes on with a state that is not what the log says of it.',
  file: 'src/tasks/program.ts',
  find: '    this.#state = stateFrom(this.#state)\n',
  replace: '',
  test: 'test/values/states.test.ts',
} satisfies Control
