import type { Control } from './control.ts'

export default {
  fault:
    'An owner that dies while it reads a shard leaves no checkpoint, so that the next owner starts from the beginning.',
  file: 'src/drivers/nats/owned-shard.ts',
  find: 'if (isFirst) await this.#saveProgress(fold)',
  replace: '',
  test: 'test/nats/short-lived-owners.test.ts',
} satisfies Control
