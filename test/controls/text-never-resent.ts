import type { Control } from './control.ts'

export default {
  fault: 'Who joins while a model writes gets only what comes from then on.',
  file: 'src/models/text-stream.ts',
  find: `this.#sent = noText
    this.#schedule()`,
  replace: `this.#schedule()`,
  test: 'test/text-in-flight.test.ts',
  name: 'gives who joins in the middle',
} satisfies Control
