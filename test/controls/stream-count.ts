import type { Control } from './control.ts'

export default {
  fault: 'A gateway opens streams without end.',
  file: 'src/gateway/streams/streams.ts',
  find: 'this.#clients.size >= this.#maxStreams',
  replace: 'this.#clients.size >= this.#maxStreams * 1e6',
  test: 'src/gateway/streams/slow-readers.test.ts',
  name: 'more streams than the limit',
} satisfies Control
