import type { Control } from './control.ts'

export default {
  fault: 'A client that reads nothing stays connected if there are no new events.',
  file: 'src/gateway/streams/stream-client.ts',
  find: 'this.#stallTimer = setTimeout(',
  replace: 'this.#stallTimer ??= setTimeout(() => {}, 1e9).unref() ?? setTimeout(',
  test: 'src/gateway/streams/slow-readers.test.ts',
  name: 'reads nothing is disconnected',
} satisfies Control
