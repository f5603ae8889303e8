import type { Control } from './control.ts'

export default {
  fault: 'An expired key is accepted.',
  file: 'src/gateway/identity/api-keys.ts',
  find: 'key && isRight && !isExpired(key, this.#bus.now())',
  replace: 'key && isRight',
  test: 'test/identity/identity.test.ts',
  name: 'a key works at once',
} satisfies Control
