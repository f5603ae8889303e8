import type { Control } from './control.ts'

export default {
  fault: 'A stream shows types that a role may not read.',
  file: 'src/gateway/streams/stream-scope.ts',
  find: "      this.#principal.may('read', event.type)",
  replace: '      true',
  test: 'test/identity/streams.test.ts',
} satisfies Control
