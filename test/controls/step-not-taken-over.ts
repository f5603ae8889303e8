import type { Control } from './control.ts'

export default {
  fault: 'An open step does not run again when another worker takes the task over.',
  file: 'src/tasks/steps.ts',
  find: '    this.#held.set(id, added)',
  replace: '    this.#held.set(id, added)\n    shared.acknowledge(task)',
  test: 'test/steps/takeover.test.ts',
  name: 'runs an open step again',
} satisfies Control
