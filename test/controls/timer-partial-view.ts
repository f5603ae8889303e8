import type { Control } from './control.ts'

export default {
  fault: 'A turn that does not say its wake-up is taken for one without, where a journal is read before the shard is.',
  patches: [
    {
      file: 'src/drivers/nats/turns.ts',
      find: "      [turnHeaders.wake]: wake ?? 'none',",
      replace: "      ...(expect === 0 && { [turnHeaders.wake]: wake ?? 'none' }),",
    },
    {
      file: 'src/drivers/nats/owned.ts',
      find: 'if (saysAll(stored)) this',
      replace: 'if (saysAll(stored) || true) this',
    },
  ],
  test: 'src/drivers/nats/nats.test.ts',
  name: 'takes nothing from its wake-up',
} satisfies Control
