import type { Control } from './control.ts'

export default {
  fault: 'A partition without a known backlog is not asked while another has one.',
  file: 'src/drivers/nats/shared-member.ts',
  find: 'if (consumer.pending === 0) return Math.max(1, standing)',
  replace: 'if (consumer.pending === 0) return this.#consumers.some(each => each.pending > 0) ? 0 : 1',
  test: 'test/nats/slots.test.ts',
  name: 'serves every partition',
} satisfies Control
