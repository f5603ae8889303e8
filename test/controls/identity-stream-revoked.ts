import type { Control } from './control.ts'

export default {
  fault: 'A stream goes on after its key was revoked.',
  file: 'src/gateway/identity/identity.ts',
  find: 'return key ? this.#keys.hasEnded(key) : expires! <= this.#bus.now()',
  replace: 'return key ? false : expires! <= this.#bus.now()',
  test: 'test/identity/streams.test.ts',
} satisfies Control
