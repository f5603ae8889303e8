import type { Control } from './control.ts'

export default {
  fault: 'A stream shows types that a role may not read.',
  file: 'src/gateway/streams/stream-scope.ts',
  find: "return this.#principal.may('read', type)",
  replace: 'return type.length > 0',
  test: 'test/identity/streams.test.ts',
} satisfies Control
