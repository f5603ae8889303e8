import type { Control } from './control.ts'

export default {
  fault: 'A revoked key is accepted until the gateway restarts.',
  file: 'src/gateway/identity/api-keys.ts',
  find: 'this.#keys = (await this.#bus.documents.read<StoredKeys>(documentKey)) ?? {}',
  replace: 'this.#keys = { ...this.#keys, ...(await this.#bus.documents.read<StoredKeys>(documentKey)) }',
  test: 'test/identity/identity.test.ts',
  name: 'a key works at once',
} satisfies Control
