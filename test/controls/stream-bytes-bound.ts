import type { Control } from './control.ts'

export default {
  fault: 'What waits for clients that do not read has no bound.',
  file: 'src/gateway/streams/frames.ts',
  find: 'this.#bytes + bytes > this.#maxBufferedBytes',
  replace: 'this.#bytes + bytes > this.#maxBufferedBytes * 1e6',
  test: 'src/gateway/streams/slow-readers.test.ts',
  name: 'the slowest clients are disconnected',
} satisfies Control
