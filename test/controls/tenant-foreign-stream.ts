import type { Control } from './control.ts'

export default {
  fault: 'A stream shows events of another tenant.',
  file: 'src/gateway/streams/stream-scope.ts',
  find: '      event.tenant === this.#principal.tenant &&\n',
  replace: '',
  test: 'test/identity/canary.test.ts',
  name: 'no byte of a tenant',
} satisfies Control
