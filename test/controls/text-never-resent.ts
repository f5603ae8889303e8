import type { Control } from './control.ts'

export default {
  fault: 'Who joins while a model writes gets only what comes from then on.',
  file: 'src/models/text-stream.ts',
  find: `this.#sent = noText
    this.#schedule()`,
  replace: `this.#schedule()`,
  test: 'src/models/text-stream.test.ts',
  name: 'sends everything once more',
} satisfies Control
