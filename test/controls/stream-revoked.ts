import type { Control } from './control.ts'

export default {
  fault: 'A stream goes on after its credential was revoked.',
  file: 'src/gateway/streams/stream-scope.ts',
  find: 'return this.#principal.hasEnded?.() ?? false',
  replace: 'return this.#principal.hasEnded === null',
  test: 'test/streams.test.ts',
  name: 'show a principal only events',
} satisfies Control
