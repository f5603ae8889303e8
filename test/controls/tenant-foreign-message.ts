import type { Control } from './control.ts'

export default {
  fault: 'A model reads a message of another tenant that a request names.',
  file: 'src/models/conversation.ts',
  find: 'return event && event.tenant === tenant ? this.#bus.resolve(event) : undefined',
  replace: 'return event && (tenant as unknown) !== 1 ? this.#bus.resolve(event) : undefined',
  test: 'test/identity/tenants.test.ts',
  name: 'a model reads no message of another tenant',
} satisfies Control
