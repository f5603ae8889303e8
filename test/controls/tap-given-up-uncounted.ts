import type { Control } from './control.ts'

export default {
  fault: 'Calls that a tap gave up before it was killed are counted nowhere.',
  file: 'src/taps/unrecorded-calls.ts',
  find: 'this.#words[1] = unreported\n',
  replace: 'this.#words[1] = Math.min(0, unreported)\n',
  test: 'test/taps/unrecorded.test.ts',
  name: 'that a killed process',
} satisfies Control
