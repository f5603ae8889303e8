import type { Control } from './control.ts'

export default {
  fault: 'A journal that is read before the shard was makes the owner believe that the task has no wake-up.',
  file: 'src/drivers/nats/owned-shard.ts',
  find: 'this.#merge(task, applyTurn(undefined, stored, this.#group)!, view)',
  replace:
    'this.#merge(task, { ...applyTurn(undefined, stored, this.#group)!, ...(!this.live.has(task) && { wake: null }) }, view)',
  test: 'test/nats/partial-views.test.ts',
} satisfies Control
