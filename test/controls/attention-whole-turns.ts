import type { Control } from './control.ts'

export default {
  fault: 'What needs attention is looked for in whole turns: 35,000 live tasks on NATS take half a minute.',
  file: 'src/drivers/nats/missed-wakes.ts',
  find: 'of stream.newestHeaders(log.names.turnsIn(shard))',
  replace: 'of stream.scan({ subject: log.names.turnsIn(shard) })',
  test: 'test/nats/missed-wakes.test.ts',
} satisfies Control
