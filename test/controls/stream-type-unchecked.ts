import type { Control } from './control.ts'

export default {
  fault: 'A stream shows types that the credential may not read.',
  file: 'src/gateway/streams/stream-scope.ts',
  find: "return this.#principal.may('read', type)",
  replace: "return this.#principal.may('read')",
  test: 'test/streams.test.ts',
  name: 'show a principal only events',
} satisfies Control
