import type { Control } from './control.ts'

export default {
  fault: 'The first member that is back after an outage takes the slots of the others.',
  file: 'src/drivers/nats/ownership.ts',
  find: 'const isReturning = performance.now() < this.#returningUntil',
  replace: 'const isReturning = false',
  test: 'test/nats/slots.test.ts',
  name: 'is kept through an outage',
} satisfies Control
