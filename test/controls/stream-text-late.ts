import type { Control } from './control.ts'

export default {
  fault: 'A client of the event stream that joins while a model writes gets only what comes from then on.',
  file: 'src/gateway/streams/fanout.ts',
  find: 'client.readTexts(this.#texts)',
  replace: '',
  test: 'src/gateway/streams/texts.test.ts',
  name: 'a client that joins late',
} satisfies Control
