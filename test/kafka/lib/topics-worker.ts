import { app } from '../../../src/runtime/app.ts'
import { start } from '../../../src/runtime/start.ts'
import { kafkaSink } from '../../../src/sinks/kafka/kafka-sink.ts'
import { kafka } from '../../../src/triggers/kafka/kafka.ts'

/* A worker that turns records of one topic into events, and writes these to another topic, until it is killed. */

export interface TopicsWork {
  readonly place: { readonly home: string; readonly bus: string }
  readonly read: { readonly url: string; readonly group: string; readonly topic: string }
  readonly write: { readonly url: string; readonly topic: string }
}

const { place, read, write } = JSON.parse(process.argv[2]!) as TopicsWork
const { url, group, topic } = read
const type = 'note'
const map = ({ value }: { value: unknown }) => ({ type, data: value, correlation: 'all' })
const use = [
  kafka({ url, group, from: 'beginning', topics: { [topic]: { map } } }),
  kafkaSink({ url: write.url, from: 'beginning', topics: { [write.topic]: { types: [type] } } }),
]
await start(app({ name: 'topics', use }), { ...place, only: ['triggers'] })
