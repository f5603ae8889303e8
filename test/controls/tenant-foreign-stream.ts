import type { Control } from './control.ts'

export default {
  fault: 'A stream shows events of another tenant.',
  file: 'src/gateway/streams/stream-scope.ts',
  find: 'return event.tenant === this.#principal.tenant && (this.#linked',
  replace: 'return (this.#linked',
  test: 'test/identity/canary.test.ts',
  name: 'no byte of a tenant',
} satisfies Control
