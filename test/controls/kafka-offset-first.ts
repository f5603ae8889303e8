import type { Control } from './control.ts'

export default {
  fault: 'The offset of a Kafka record is committed before its event is on the log.',
  file: 'src/triggers/kafka/reader.ts',
  find: '    const typed = records.map(record => toTopicRecord(topic, partition, record))',
  replace: `    const typed = records.map(record => toTopicRecord(topic, partition, record))
    advance(next)
    await this.#member.commit([place])`,
  test: 'test/kafka/trigger.test.ts',
  name: 'are committed only when the events are on the log',
} satisfies Control
