import type { Control } from './control.ts'

export default {
  fault: 'A request that the candidate accepted is given to the old code too, although it may not be repeated.',
  file: 'src/strangler/strangler.ts',
  find: 'if (!this.#settings.isRepeatable(input)) throw error',
  replace: 'if (this.#settings.isRepeatable(input) === undefined) throw error',
  test: 'test/strangler.test.ts',
  name: 'a candidate that is late',
} satisfies Control
