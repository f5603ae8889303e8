import type { Control } from './control.ts'

export default {
  fault: 'A stream shows events of another tenant.',
  file: 'src/gateway/streams/stream-scope.ts',
  find: 'event.tenant === this.#principal.tenant &&',
  replace: 'event.tenant.length > 0 &&',
  test: 'test/streams.test.ts',
  name: 'show a principal only events',
} satisfies Control
