import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connectAsync } from 'mqtt'
import { expect, onTestFinished, test } from 'vitest'
import { z } from 'zod'
import { describeMosquitto, startMosquitto } from '../../../test/lib/mosquitto.ts'
import { at, openLog, warnings } from '../../../test/lib/mqtt.ts'
import { event } from '../../event.ts'
import type { MqttReceived } from '../../received.ts'
import { selfSigned } from '../../testing/certificate.ts'
import { startProxy } from '../../testing/tcp-proxy.ts'
import { until } from '../../testing/wait.ts'

/* Sessions with Mosquitto, broker and clients, in MQTT 5 and 3.1.1. */

const numbers = (count: number) => Array.from({ length: count }, (_, i) => i)
const texts = (count: number) => numbers(count).map(String)

await describeMosquitto('with Mosquitto', () => {
  for (const version of [5, '3.1.1'] as const) {
    test(`every QoS, in order, equal ones too: MQTT ${version}`, async () => {
      const broker = await startMosquitto()
      const { open, stored, payloads, count } = await openLog()
      await open({ url: at(broker.port), version, qos: 2 })
      for (const qos of ['0', '1', '2']) await broker.publish('hall', ['1', '1', '1', '2'], '-q', qos)
      await until(async () => (await count()) === 12)
      expect(await payloads()).toEqual([1, 1, 1, 2, 1, 1, 1, 2, 1, 1, 1, 2])
      const qoses = (await stored()).map(({ data }) => (data as MqttReceived).qos)
      expect(qoses).toEqual([0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2])
    })

    test(`killed in the middle of a burst: none is lost, and none comes twice: MQTT ${version}`, async () => {
      const broker = await startMosquitto()
      const { home, stored, open, count } = await openLog()
      const each = 400
      const settings = { url: at(broker.port), version, qos: 2, clientId: 'killed', topics: ['load/#'] } as const
      await (await open(settings)).stop()
      const published = ['1', '2'].map(qos => broker.publish(`load/${qos}`, texts(each), '-q', qos))
      for (const share of [0.2, 0.6]) {
        const child = await startChild(home, at(broker.port), version)
        await until(async () => (await count()) > share * 2 * each, { within: 30_000 })
        child.kill('SIGKILL')
        await once(child, 'exit')
      }
      await Promise.all(published)
      await open(settings)
      await until(async () => (await count()) >= 2 * each, { within: 30_000 })
      for (const qos of [1, 2]) {
        // What it sends again Mosquitto sends in another order where QoS 1 and 2 are mixed.
        const data = (await stored()).map(event => event.data as MqttReceived).filter(one => one.qos === qos)
        expect(data.map(({ payload }) => Number(payload)).toSorted((x, y) => x - y)).toEqual(numbers(each))
      }
    })
  }

  test('acknowledgements that are lost with the connection are made up for, and nothing is published twice', async () => {
    const broker = await startMosquitto()
    const { open, payloads, count } = await openLog()
    const wire = await startProxy({ port: broker.port })
    onTestFinished(() => wire.stop())
    const running = await open({ url: at(wire.port), qos: 2 })
    const each = 250
    for (const [round, qos] of ['1', '2'].entries()) {
      const published = broker.publish('hall', texts(each), '-q', qos)
      await until(async () => (await count()) > round * each + 100)
      wire.cut()
      await published
      await until(async () => (await count()) >= (round + 1) * each, { within: 30_000 })
    }
    expect(await payloads()).toEqual([...numbers(each), ...numbers(each)])
    await running.stop()
  })

  test('TLS: a client that shows no certificate, or another one, is refused at the start', async () => {
    const [own, stranger] = [selfSigned(), selfSigned()]
    const folder = await mkdtemp(join(tmpdir(), 'tidings-tls-'))
    onTestFinished(() => rm(folder, { recursive: true }))
    for (const [name, pem] of Object.entries(own)) await writeFile(join(folder, name), pem)
    const files = [`cafile ${folder}/cert`, `certfile ${folder}/cert`, `keyfile ${folder}/key`]
    const broker = await startMosquitto(...files, 'require_certificate true', 'use_identity_as_username true')
    const { open } = await openLog()
    const url = `mqtts://127.0.0.1:${broker.port}`
    for (const version of [5, '3.1.1'] as const) {
      const start = (client: object) => open({ url, version, tls: { ca: own.cert, ...client } })
      const refusal = { code: 'E_MQTT_REFUSED', message: expect.stringMatching(/alert/) }
      await expect(start({})).rejects.toMatchObject(refusal)
      await expect(start(stranger)).rejects.toMatchObject(refusal)
      expect(await start(own)).toMatchObject({ address: url })
    }
  })

  test('the session survives a kill and restart of the broker', async () => {
    const broker = await startMosquitto()
    const { open, payloads, count } = await openLog()
    const running = await open({ url: at(broker.port), qos: 1 })
    await broker.publish('hall', ['1'], '-q', '1')
    await until(async () => (await count()) === 1)
    await broker.kill()
    await until(() => running.address !== at(broker.port))
    await broker.start()
    await broker.publish('hall', ['2'], '-q', '1')
    await until(async () => (await count()) === 2)
    expect(await payloads()).toEqual([1, 2])
  })

  test('a message that names its id is published once, however often and by whatever client it comes', async () => {
    const broker = await startMosquitto()
    const { open, payloads, stored, count } = await openLog()
    await open({ url: at(broker.port), qos: 2 })
    const property = (name: string, value: string) => ['-D', 'PUBLISH', 'user-property', name, value]
    for (const qos of ['0', '1', '2']) await broker.publish('hall', ['7', '8'], '-q', qos, ...property('id', '42'))
    await broker.publish('hall', ['7'], '-q', '1', ...property('id', '43'))
    await broker.publish('hall', ['7'], '-q', '1', ...property('id', '42'), ...property('source', '/elsewhere'))
    await until(async () => (await count()) === 4)
    expect(await payloads()).toEqual([7, 8, 7, 7])
    expect((await stored())[0]!.data).toMatchObject({ properties: [{ name: 'id', value: '42' }] })
  })

  test('what does not fit is answered with a reason code, and the next one is taken', async () => {
    const broker = await startMosquitto()
    const { open, stored, count } = await openLog()
    warnings()
    const topics = { hall: event('room.reading', z.number()) }
    await open({ url: at(broker.port), qos: 2, topics, maxBytes: 100 })
    await broker.publish('hall', ['warm', '1'], '-q', '1')
    await broker.publish('hall', ['cold', 'x'.repeat(200), '2'], '-q', '2')
    await until(async () => (await count()) === 2)
    const log = await broker.log()
    expect(log).toMatch(/Received PUBACK from desk \(Mid: \d+, RC:153\)/)
    expect(log).toMatch(/Received PUBREC from desk \(Mid: \d+\)/)
    expect((await stored()).map(({ data }) => data)).toEqual([1, 2])
  })

  test('processes of a group share the messages', async () => {
    const broker = await startMosquitto()
    const { open, payloads, bus, count } = await openLog()
    const settings = { url: at(broker.port), group: 'desks', qos: 1 } as const
    await open({ ...settings, clientId: 'one' })
    await open({ ...settings, clientId: 'two' })
    await broker.publish('hall', texts(200), '-q', '1')
    await until(async () => (await count()) >= 200)
    expect((await payloads()).toSorted((a, b) => Number(a) - Number(b))).toEqual(numbers(200))
    const ids = (await Array.fromAsync(bus.read({}))).map(({ event: { id } }) => id.split(':')[1])
    expect(new Set(ids).size).toBe(2)
  })

  test('a second process with the same client id takes the session over, and the first one reports it', async () => {
    const broker = await startMosquitto()
    const { open } = await openLog()
    const said = warnings()
    await open({ url: at(broker.port) })
    await (await connectAsync(at(broker.port), { clientId: 'desk', reconnectPeriod: 0 })).endAsync(true)
    await until(() => said.some(text => text.includes('another client connects with the same client id')))
  })

  test('topics that are not asked for any more are not subscribed to any more', async () => {
    const broker = await startMosquitto()
    const { open, stored, count } = await openLog()
    const first = await open({ url: at(broker.port), topics: ['a', 'b'] })
    await first.stop()
    await open({ url: at(broker.port), topics: ['b', 'c'] })
    for (const topic of ['a', 'b', 'c']) await broker.publish(topic, ['x'], '-q', '1')
    await until(async () => (await count()) === 2)
    expect((await stored()).map(({ subject }) => subject)).toEqual(['b', 'c'])
    const log = await broker.log()
    expect(log).toMatch(/Received UNSUBSCRIBE from desk\n.*\ta/)
  })

  test('what is retained comes once, and again when it has changed', async () => {
    const broker = await startMosquitto()
    const { open, payloads, stored } = await openLog()
    await broker.publish('door', ['open'], '-q', '1', '-r')
    for (let i = 0; i < 2; i++) {
      const running = await open({ url: at(broker.port) })
      await broker.publish('done', [String(i)], '-q', '1')
      await until(async () => (await payloads()).includes(i))
      await running.stop()
    }
    expect(await payloads()).toEqual(['open', 0, 1])
    expect((await stored())[0]!.data).toMatchObject({ retained: true })
  })
})

/** Another process that takes messages, on the same log. */
async function startChild(home: string, url: string, version: 5 | '3.1.1'): Promise<ChildProcess> {
  const file = join(import.meta.dirname, '../../../test/lib/mqtt-child.ts')
  const child = spawn(process.execPath, [file, home, url, String(version)], { stdio: ['ignore', 'pipe', 'inherit'] })
  onTestFinished(() => void child.kill('SIGKILL'))
  await once(child.stdout, 'data')
  return child
}
