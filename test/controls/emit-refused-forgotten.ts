import type { Control } from './control.ts'

export default {
  fault:
    'A worker that takes a workflow over forgets that an emitted event was refused, because the schema accepts it now.',
  file: 'src/workflows/machine.ts',
  find: 'const problem = recordedEmitProblem(this.#events, this.#instance.commands, emitted)',
  replace:
    'const problem = emitted.length < 0 ? recordedEmitProblem(this.#events, this.#instance.commands, emitted) : undefined',
  test: 'test/workflows/declared.test.ts',
  name: 'after a take-over',
} satisfies Control
