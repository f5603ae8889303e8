import type { Control } from './control.ts'

export default {
  fault: 'A redrive writes its events to the topics of a Kafka sink a second time.',
  file: 'src/sinks/kafka/kafka-sink.ts',
  find: 'if (event.replay !== undefined)',
  replace: 'if (event.replay === undefined && event.id === undefined)',
  test: 'test/kafka/sink.test.ts',
  name: 'a replay is not written again',
} satisfies Control
