import type { Control } from './control.ts'

export default {
  fault: 'A member that takes no more deliveries keeps its slots.',
  file: 'src/drivers/nats/shared-member.ts',
  find: `    this.#slots?.retire()
`,
  replace: '',
  test: 'test/nats/slots.test.ts',
  name: 'passes the slots',
} satisfies Control
