import type { Control } from './control.ts'

export default {
  fault: 'A stream that has just opened never sends a text that is known already, unless something follows.',
  file: 'src/gateway/streams/stream-client.ts',
  find: 'this.#transport.open(this.#sentCursor, () => this.#sendTexts())',
  replace: 'this.#transport.open(this.#sentCursor, () => {})',
  test: 'src/gateway/streams/texts.test.ts',
  name: 'a connection that gets nothing else',
} satisfies Control
