import { expect, test } from 'vitest'
import { z } from 'zod'
import { event } from '../src/index.ts'
import { collect, until } from '../src/testing/wait.ts'
import { startGateway } from './lib/gateway.ts'
import { at, openLog, warnings } from './lib/mqtt.ts'
import { startBroker } from './lib/mqtt-broker.ts'
import { curl, openTrigger } from './lib/webhook.ts'

/* One rule at each door: a number that JavaScript cannot hold is the text that was sent. */

const sent = '{"id":9007199254740993,"rate":0.1,"far":1e400}'
const kept = { id: '9007199254740993', rate: 0.1, far: '1e400' }
const counted = event('id.counted', z.object({ id: z.number() }))
const named = event('id.named', z.object({ id: z.string() }))

test('POST /events keeps it as text', async () => {
  const { bus, url } = await startGateway()
  const headers = { 'content-type': 'application/json' }
  const post = (body: string, more = {}) =>
    fetch(`${url}/events`, { method: 'POST', headers: { ...headers, ...more }, body })
  expect((await post(`{"type":"a.b","data":${sent}}`)).status).toBe(202)
  expect(
    (await post(sent, { 'ce-specversion': '1.0', 'ce-type': 'a.b', 'ce-id': 'x', 'ce-source': '/x' })).status,
  ).toBe(202)
  expect((await collect(bus.read({}))).map(({ event: { data } }) => data)).toEqual([kept, kept])
})

test('a webhook keeps it, and a schema that wants a number refuses it with its path', async () => {
  const publishes = [counted, named]
  const type = ({ headers }: { headers: Record<string, string> }) => headers['x-kind']
  const { url, stored } = await openTrigger({ endpoints: { it: { scheme: 'none', publishes, type } } })
  const refused = await curl(`${url}/it`, sent, { 'x-kind': 'id.counted' })
  expect(refused).toMatchObject({ status: 422, body: { error: { message: expect.stringContaining(': id: ') } } })
  expect((await curl(`${url}/it`, sent, { 'x-kind': 'id.named' })).status).toBe(202)
  expect((await curl(`${url}/it`, sent, {})).status).toBe(202)
  const data = (await stored()).map(each => each.data)
  expect(data).toEqual([{ id: kept.id }, expect.objectContaining({ body: kept })])
})

test('MQTT keeps it, and a topic of texts accepts digits', async () => {
  const { port, client } = await startBroker()
  const { open, stored } = await openLog()
  const warned = warnings()
  const word = event('word.said', z.string())
  const level = event('level.read', z.number())
  const topics = { ids: counted, named, words: word, levels: level, any: 'mqtt.received' as const }
  await open({ url: at(port), version: '3.1.1', topics })
  const publisher = await client()
  const messages = [
    ['any', sent], ['ids', sent], ['named', sent], ['words', '4711'], ['words', '9007199254740993'], ['words', 'true'],
    ['words', '"quoted"'], ['words', '{"a":1}'], ['levels', '4711'], ['levels', 'high'], ['any', '4711'],
  ] // biome-ignore format: one list
  for (const [topic, payload] of messages) await publisher.publishAsync(topic!, payload!, { qos: 1 })
  const events = await until(async () => {
    const found = await stored()
    return found.length === messages.length - 2 && found
  })
  expect(events.map(({ type, data }) => [type, type === 'mqtt.received' ? (data as { payload: unknown }).payload : data]))
    .toEqual([
      ['mqtt.received', kept],
      ['id.named', { id: kept.id }],
      ['word.said', '4711'],
      ['word.said', '9007199254740993'],
      ['word.said', 'true'],
      ['word.said', 'quoted'],
      ['word.said', '{"a":1}'],
      ['level.read', 4711],
      ['mqtt.received', 4711],
    ]) // biome-ignore format: one list
  await until(() => warned.some(text => text.includes('id.counted: id: ')))
})
