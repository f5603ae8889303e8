import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { describeMosquitto, startMosquitto } from '../../test/lib/mosquitto.ts'
import { startBroker } from '../../test/lib/mqtt-broker.ts'
import { Bus } from '../bus/bus.ts'
import { FailingCommits, openSqlite } from '../drivers/sqlite/index.ts'
import { collect, until } from '../testing/wait.ts'
import { mqtt, type MqttOptions } from './mqtt.ts'

async function openLog() {
  const home = await mkdtemp(join(tmpdir(), 'tidings-mqtt-'))
  const commits = new FailingCommits()
  const bus = new Bus(await openSqlite({ home, faults: { commits } }))
  onTestFinished(async () => {
    await bus.driver.close()
    await rm(home, { recursive: true })
  })
  const stored = async () =>
    Promise.all((await collect(bus.read({}))).map(async ({ event }) => bus.resolve(event)))
  const payloads = async () => (await stored()).map(({ data }) => (data as { payload: unknown }).payload)
  const open = async (options: Partial<MqttOptions> & { url: string }) => {
    const running = await mqtt({ clientId: 'desk', topics: ['#'], ...options }).start(bus)
    onTestFinished(() => running.stop())
    return running
  }
  return { bus, home, commits, stored, payloads, open }
}

const at = (port: number) => `mqtt://127.0.0.1:${port}`
const old = { version: '3.1.1' } as const

test('messages of every QoS are on the log when they are acknowledged', async () => {
  const { port, client } = await startBroker()
  const { open, stored } = await openLog()
  await open({ url: at(port), ...old, qos: 2 })
  const publisher = await client()
  for (const qos of [0, 1, 2] as const) await publisher.publishAsync('rooms/hall', '{"celsius":21.5}', { qos })
  await until(async () => (await stored()).length === 3)
  console.log(await stored())
})

await describeMosquitto('mosquitto', () => {
  test('v5', async () => {
    const m = await startMosquitto()
    const { open, payloads } = await openLog()
    await open({ url: at(m.port), qos: 2 })
    await m.publish('a/b', Array.from({ length: 1000 }, (_, i) => `m${i}`), '-q', '1')
    let t = Date.now()
    await until(async () => (await payloads()).length === 1000, { within: 20000 })
    console.log('q1', Date.now() - t)
    t = Date.now()
    await m.publish('a/b', Array.from({ length: 1000 }, (_, i) => `m${i}`), '-q', '2')
    console.log('q2', Date.now() - t)
    await until(async () => (await payloads()).length === 2000, { within: 20000 })
    console.log('q2', Date.now() - t)
    console.log((await m.log()).split('\n').slice(0, 30).join('\n'))
  })
})
