import type { Control } from './control.ts'

export default {
  fault: 'A record of an aborted Kafka transaction becomes an event, because the filter of the client lets it through.',
  file: 'src/kafka/committed.ts',
  find: 'else if (!(batch.attributes & isTransactional && aborted.has(batch.producerId)))',
  replace: 'else if (!(batch.attributes & isTransactional && aborted.size > 99))',
  test: 'test/kafka/trigger.test.ts',
  name: 'records of a transaction that was aborted are none',
} satisfies Control
