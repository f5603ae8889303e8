import type { Control } from './control.ts'

export default {
  fault: 'A step runs when its recorded turn is folded.',
  file: 'src/tasks/script.ts',
  find: '    const repeated = new RepeatedTurn(recorded)',
  replace: `    for (const { step } of this.#waiting.values()) void step?.run({ signal: new AbortController().signal, idempotencyKey: '', attempt: 1 })
    const repeated = new RepeatedTurn(recorded)`,
  test: 'test/steps/takeover.test.ts',
  name: 'a replay uses',
} satisfies Control
