import type { Control } from './control.ts'

export default {
  fault: 'A member that slept through its lease starts what the server gave it in its sleep.',
  file: 'src/drivers/nats/ownership.ts',
  find: 'return this.#renewed.elapsed <= this.#options.leaseMs',
  replace: 'return true',
  test: 'test/nats/slots.test.ts',
  name: 'is kept by a member that wakes',
} satisfies Control
