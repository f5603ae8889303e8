import type { Control } from './control.ts'

export default {
  fault: 'Each client of the stream gets a large event in memory of its own.',
  file: 'src/gateway/streams/frames.ts',
  find: 'await this.#loadOnce(request)',
  replace: 'await this.#load(request)',
  test: 'src/gateway/streams/slow-readers.test.ts',
  name: 'share its memory',
} satisfies Control
