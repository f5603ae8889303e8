import type { Control } from './control.ts'

export default {
  fault: 'A worker does not renew its lease while it reads a shard, and loses what it has read.',
  file: 'src/drivers/nats/sharded-member.ts',
  find: `    if (this.#renewed.elapsed < this.#leaseMs / 4) return
    await this.#renew()`,
  replace: `    if (this.#renewed.elapsed < this.#leaseMs / 4 || this.#isMaintaining) return
    await this.#renew()`,
  test: 'test/nats/lease.test.ts',
} satisfies Control
