import type { Control } from './control.ts'

export default {
  fault: 'An owner whose shard was taken over writes a checkpoint.',
  file: 'src/drivers/nats/checkpoint.ts',
  find: 'await log.state.putAfter(revision, document, JSON.stringify(head))',
  replace: 'await log.state.append(document, JSON.stringify(head)).then(({ seq }) => seq)',
  test: 'test/nats/views-of-a-shard.test.ts',
  name: 'taken over',
} satisfies Control
