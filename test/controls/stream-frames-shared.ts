import type { Control } from './control.ts'

export default {
  fault: 'Each client of the stream gets a large event in memory of its own.',
  file: 'src/gateway/frames.ts',
  find: 'hasBlobData(stored.event) ? this.#shared(stored)',
  replace: 'hasBlobData(stored.event) ? this.#load(stored)',
  test: 'src/gateway/slow-readers.test.ts',
  name: 'cost that event',
} satisfies Control
