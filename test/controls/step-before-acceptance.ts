import type { Control } from './control.ts'

export default {
  fault: 'A step runs when the code asks for it, before its turn is accepted.',
  file: 'src/tasks/script-scope.ts',
  find: '    return this.#machine.wait(id, name, { step }) as Promise<Output>',
  replace: `    void step.run({ signal: new AbortController().signal, idempotencyKey: '', attempt: 1 })
    return this.#machine.wait(id, name, { step }) as Promise<Output>`,
  test: 'test/steps/turns.test.ts',
  name: 'not accepted',
} satisfies Control
