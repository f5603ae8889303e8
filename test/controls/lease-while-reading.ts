import type { Control } from './control.ts'

export default {
  fault: 'A worker does not renew its lease while it reads a shard, and loses what it has read.',
  file: 'src/drivers/nats/sharded-member.ts',
  find: `if (!(await this.#ownership.renewIfDue()) || this.#isMaintaining) return`,
  replace: `if (this.#isMaintaining || !(await this.#ownership.renewIfDue())) return`,
  test: 'test/nats/lease.test.ts',
} satisfies Control
