import { consumeBatches, eventsOf, floorProducer, lastOfEach, readFloorEvent, recordOf } from './kafka-wire.ts'
import { eventOf } from './wire.ts'

/** The tools of a floor on Kafka, in their own process. Sends the number of their runs to the parent. */
const [bootstrap, name] = process.argv.slice(2) as [string, string]
const topic = eventsOf(name)
const producer = floorProducer(bootstrap)
let calls = 0
const consumer = await consumeBatches(bootstrap, { group: `${name}.tools`, topic }, async (messages, self) => {
  const requests = messages.map(readFloorEvent).filter(({ type }) => type === 'tool.invoke')
  calls += requests.length
  const answers = requests.map(({ task, state, revision, data }) =>
    recordOf(topic, task, eventOf('tool.result', task, state, revision, data)),
  )
  if (answers.length > 0) await producer.send({ messages: answers })
  const offsets = lastOfEach(messages).map(({ partition, offset }) => ({
    topic,
    partition,
    offset: offset + 1n,
    leaderEpoch: -1,
  }))
  await self.commit({ offsets })
})
process.on('message', () => process.send!(calls))
process.once('disconnect', () => {
  void Promise.allSettled([consumer.close(), producer.close(true)]).then(() => process.exit(0))
})
process.send!(calls)
