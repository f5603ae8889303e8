import type { Control } from './control.ts'

export default {
  fault: 'A secret that a model streams in pieces is said in pieces.',
  file: 'src/bus/redact-stream.ts',
  find: 'this.#release(this.#safeLength())',
  replace: 'this.#release(Math.max(this.#safeLength(), this.#buffer.length))',
  test: 'src/bus/redact.test.ts',
  name: 'does not come through in pieces',
} satisfies Control
