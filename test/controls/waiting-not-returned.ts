import type { Control } from './control.ts'

export default {
  fault: 'A delivery waits for room although another member has some.',
  file: 'src/drivers/nats/shared-member.ts',
  find: `    if (this.#consumers.length > 1) void this.#handOver(now)
`,
  replace: '',
  test: 'test/nats/slots.test.ts',
  name: 'goes to a member that has some',
} satisfies Control
