import type { Control } from './control.ts'

export default {
  fault:
    'A worker is killed between its events and the commit of their offsets, and the next one stores the records again.',
  file: 'src/triggers/kafka/inbox.ts',
  find: 'recordId(this.#settings.name, origin, record)',
  replace: 'crypto.randomUUID()',
  test: 'test/kafka/kills.test.ts',
  name: 'loses none, and makes one event of each',
} satisfies Control
