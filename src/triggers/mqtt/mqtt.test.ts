import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { at, openLog, warnings } from '../../../test/lib/mqtt.ts'
import { startBroker } from '../../../test/lib/mqtt-broker.ts'
import { startScript } from '../../../test/lib/mqtt-script.ts'
import { onAnyBus } from '../../../test/lib/world.ts'
import { metrics } from '../../bus/telemetry/metrics.ts'
import { event } from '../../event.ts'
import type { MqttReceived } from '../../received.ts'
import type { RunningApp } from '../../runtime/start.ts'
import { selfSigned } from '../../testing/certificate.ts'
import { freePort } from '../../testing/ports.ts'
import { startProxy } from '../../testing/tcp-proxy.ts'
import { collect, until } from '../../testing/wait.ts'
import { mqtt } from './mqtt.ts'

/* Against a broker for MQTT 3.1.1 in this process. Sessions of MQTT 5, and kills, are in mosquitto.test.ts. */

const old = { version: '3.1.1', qos: 2 } as const
const reading = event('room.reading', z.object({ celsius: z.number() }))

/** What was refused by the trigger of this name, by the code of the error. */
const refused = (name: string) =>
  Object.fromEntries(
    [...metrics.refused.series]
      .filter(({ labels }) => labels[0] === name)
      .map(({ labels, value }) => [labels[1], value]),
  )

test('messages of every QoS are on the log, as JSON, text or bytes', async () => {
  const { port, client } = await startBroker()
  const { open, stored, bus } = await openLog()
  await open({ url: at(port), ...old })
  const publisher = await client()
  await publisher.publishAsync('rooms/hall', '{"celsius":21.5}', { qos: 0 })
  await publisher.publishAsync('rooms/hall', 'warm', { qos: 1 })
  await publisher.publishAsync('rooms/hall', Buffer.of(0xff, 0, 1), { qos: 2 })
  await publisher.publishAsync('rooms/hall', `"${'x'.repeat(50_000)}"`, { qos: 2 })
  const events = await until(async () => {
    const found = await stored()
    return found.length === 4 && found
  })
  expect(events[0]).toMatchObject({
    type: 'mqtt.received',
    source: '/triggers/mqtt',
    subject: 'rooms/hall',
    tenant: 'default',
  })
  const data = events.map(each => each.data as MqttReceived)
  const raw = { blob: expect.stringMatching(/^sha256-/), bytes: 3 }
  expect(data).toEqual([
    { topic: 'rooms/hall', qos: 0, retained: false, payload: { celsius: 21.5 } },
    { topic: 'rooms/hall', qos: 1, retained: false, payload: 'warm' },
    { topic: 'rooms/hall', qos: 2, retained: false, payload: null, raw },
    { topic: 'rooms/hall', qos: 2, retained: false, payload: 'x'.repeat(50_000) },
  ])
  expect(Buffer.from((await bus.driver.blobs!.get('default', data[2]!.raw!.blob))!)).toEqual(Buffer.of(0xff, 0, 1))
})

test('equal messages are as many events as there are messages', async () => {
  const { port, client } = await startBroker()
  const { open, payloads, count } = await openLog()
  await open({ url: at(port), ...old })
  const publisher = await client()
  for (const qos of [0, 1, 2] as const)
    await Promise.all(Array.from({ length: 20 }, () => publisher.publishAsync('hall', '21.5', { qos })))
  await until(async () => (await count()) >= 60)
  expect(await payloads()).toEqual(Array.from({ length: 60 }, () => 21.5))
})

test('a topic is mapped to a type; a message that does not fit is refused, counted and logged, and does not stop the others', async () => {
  const { port, client } = await startBroker()
  const { open, stored, count } = await openLog()
  const said = warnings()
  const topics = { 'rooms/#': 'mqtt.received', 'rooms/+/celsius': reading } as const
  await open({ url: at(port), ...old, name: 'poisoned', topics, maxBytes: 100 })
  const publisher = await client()
  await publisher.publishAsync('rooms/hall/celsius', '{"celsius":"warm"}', { qos: 1 })
  await publisher.publishAsync('rooms/hall/celsius', Buffer.of(0xff), { qos: 2 })
  await publisher.publishAsync('rooms/hall', '{"__proto__":1}', { qos: 2 })
  await publisher.publishAsync('rooms/hall', 'x'.repeat(101), { qos: 1 })
  await publisher.publishAsync('rooms/hall/celsius', '{"celsius":21.5}', { qos: 1 })
  await publisher.publishAsync('rooms/hall/lux', '300', { qos: 2 })
  await until(async () => (await count()) === 2)
  expect((await stored()).map(({ type, subject, data }) => ({ type, subject, data }))).toEqual([
    { type: 'room.reading', subject: 'rooms/hall/celsius', data: { celsius: 21.5 } },
    { type: 'mqtt.received', subject: 'rooms/hall/lux', data: expect.objectContaining({ payload: 300 }) },
  ])
  expect(refused('poisoned')).toEqual({ E_EVENT_INVALID: 3, E_EVENT_TOO_LARGE: 1 })
  await until(() =>
    said.some(text => /poisoned: rejected a message: E_EVENT_INVALID rooms\/hall\/celsius: .*number/.test(text)),
  )
})

test('whatever the bytes of a payload are, they come back as they were', async () => {
  const { port, client } = await startBroker()
  const { open, stored, bus, count } = await openLog()
  await open({ url: at(port), ...old })
  const publisher = await client()
  const payload = fc.oneof(
    fc.uint8Array({ maxLength: 40 }),
    fc.string({ unit: 'binary' }).map(text => Buffer.from(text.toWellFormed())),
    fc.jsonValue().map(value => Buffer.from(JSON.stringify(value))),
  )
  const payloads = fc.sample(payload, 60).filter(bytes => !/__proto__|\\ud/.test(Buffer.from(bytes).toString()))
  await Promise.all(payloads.map(bytes => publisher.publishAsync('any', Buffer.from(bytes))))
  await until(async () => (await count()) === payloads.length)
  for (const [i, { data }] of (await stored()).entries()) {
    const { payload: value, raw } = data as MqttReceived
    const bytes = Buffer.from(payloads[i]!)
    if (raw) expect(Buffer.from((await bus.driver.blobs!.get('default', raw.blob))!)).toEqual(bytes)
    else if (value !== bytes.toString()) expect(value).toEqual(JSON.parse(bytes.toString()))
  }
})

test('nothing is acknowledged before it is on the log: while the log is away the broker keeps it', async () => {
  const { port, client, broker } = await startBroker()
  const { open, payloads, commits, count } = await openLog()
  const acknowledged: string[] = []
  broker.on('ack', (_packet, { id }) => void acknowledged.push(id))
  const said = warnings()
  await open({ url: at(port), ...old })
  const publisher = await client()
  commits.fail(1_000)
  for (let i = 0; i < 50; i++) await publisher.publishAsync('hall', String(i), { qos: i % 2 === 0 ? 1 : 2 })
  await until(() => said.some(text => /the log cannot be written, so messages wait/.test(text)))
  expect(acknowledged.filter(id => id === 'desk')).toEqual([])
  expect(await payloads()).toEqual([])
  commits.fail(0)
  await until(async () => (await count()) === 50)
  expect(await payloads()).toEqual(Array.from({ length: 50 }, (_, i) => i))
  // A message of QoS 2 counts twice: its PUBREC, and its PUBCOMP.
  await until(() => acknowledged.filter(id => id === 'desk').length >= 50)
})

test('messages sent during downtime are received afterwards, once', async () => {
  const { port, client } = await startBroker()
  const { open, payloads, count } = await openLog()
  const publisher = await client()
  const first = await open({ url: at(port), ...old })
  await publisher.publishAsync('hall', '1', { qos: 1 })
  await until(async () => (await count()) === 1)
  await first.stop()
  for (const text of ['2', '3', '3']) await publisher.publishAsync('hall', text, { qos: 2 })
  await open({ url: at(port), ...old })
  await publisher.publishAsync('hall', '4', { qos: 1 })
  await until(async () => (await count()) === 5)
  expect(await payloads()).toEqual([1, 2, 3, 3, 4])
})

test('connections that break in the middle of messages lose none', async () => {
  const { port, client } = await startBroker()
  const { open, payloads, commits } = await openLog()
  const wire = await startProxy({ port })
  const running = await open({ url: at(wire.port), ...old })
  const publisher = await client()
  const count = 60
  for (let i = 0; i < count; i++) {
    await publisher.publishAsync('hall', String(i), { qos: i % 2 === 0 ? 1 : 2 })
    if (i % 20 === 10) {
      commits.fail(1)
      wire.cut()
    }
  }
  await until(async () => new Set(await payloads()).size === count, { within: 30_000 })
  expect((await payloads()).length).toBeLessThan(count + 10)
  await until(() => running.address === at(wire.port))
  await running.stop()
  await wire.stop()
})

test('a retained message is published once, whatever comes between', async () => {
  const { port, client } = await startBroker()
  const { open, stored, count } = await openLog()
  const publisher = await client()
  await publisher.publishAsync('state/door', 'open', { qos: 1, retain: true })
  const data = async () =>
    (await stored()).map(each => each.data as MqttReceived).map(({ payload, retained }) => [payload, retained])
  const settings = { url: at(port), ...old }
  let running = await open(settings)
  await until(async () => (await count()) === 1)
  await running.stop()
  running = await open(settings)
  await running.stop()
  // Another session of the same client id: the broker sends it once more.
  await (await client({ clientId: 'desk', clean: true })).endAsync()
  running = await open(settings)
  await publisher.publishAsync('state/door', 'still open', { qos: 1 })
  await until(async () => (await count()) === 2)
  await running.stop()
  await (await client({ clientId: 'desk', clean: true })).endAsync()
  await publisher.publishAsync('state/door', 'shut', { qos: 1, retain: true })
  running = await open(settings)
  await until(async () => (await count()) === 3)
  await running.stop()
  await (await client({ clientId: 'desk', clean: true })).endAsync()
  await publisher.publishAsync('state/door', 'open', { qos: 1, retain: true })
  await open(settings)
  await until(async () => (await count()) === 4)
  expect(await data()).toEqual([
    ['open', true],
    ['still open', false],
    ['shut', true],
    ['open', true],
  ])
})

test('TLS: a broker with the wrong identity is an error at the start', async () => {
  const [broker, stranger] = [selfSigned(), selfSigned()]
  const { port, client } = await startBroker({ tls: broker })
  const { open, count } = await openLog()
  const url = `mqtts://127.0.0.1:${port}`
  const refusal = { code: 'E_MQTT_REFUSED', message: expect.stringMatching(/certificate/) }
  await expect(open({ url, ...old })).rejects.toMatchObject(refusal)
  await expect(open({ url, ...old, tls: { ca: stranger.cert } })).rejects.toMatchObject(refusal)
  const running = await open({ url, ...old, tls: { ca: broker.cert } })
  expect(running.address).toBe(url)
  const publisher = await client({ protocol: 'mqtts', ca: broker.cert })
  await publisher.publishAsync('hall', '1', { qos: 1 })
  await until(async () => (await count()) === 1)
})

test('wrong credentials, topics and versions are errors at the start, which name no secret', async () => {
  const { port } = await startBroker({
    authenticate: (_client, name, password, done) => done(null, name === 'ann' && String(password) === 'p@ss'),
    authorizeSubscribe: (_client, subscription, done) =>
      done(null, subscription.topic === 'secret/#' ? null : subscription),
  })
  const { open } = await openLog()
  const start = (url: string, more = {}) =>
    open({ url, ...old, ...more }).then(
      () => 'started',
      ({ code, message }: { code: string; message: string }) => `${code} ${message}`,
    )
  const host = `127.0.0.1:${port}`
  expect(await start(`mqtt://ann:wrong@${host}`)).toBe(
    `E_MQTT_REFUSED mqtt://${host}: Connection refused: Not authorized`,
  )
  expect(await start(`mqtt://${host}`)).toMatch(/Not authorized$/)
  expect(await start(`mqtt://ann:p%40ss@${host}`, { version: 5 })).toMatch(
    /E_MQTT_REFUSED .*nacceptable protocol version/,
  )
  expect(await start(`mqtt://ann:p%40ss@${host}`, { topics: ['a', 'secret/#'] })).toMatch(/E_MQTT_REFUSED .*secret\/#/)
  expect(await start(`mqtt://ann:p%40ss@${host}`)).toBe('started')
  expect(await start(`mqtt://${host}`, { clientId: 'other', username: 'ann', password: 'p@ss' })).toBe('started')
})

test('a broker that is not there is waited for, and found again', async () => {
  const port = await freePort()
  const { open, count } = await openLog()
  const said = warnings()
  const running = await open({ url: at(port), ...old })
  expect(running.address).toMatch(new RegExp(`^${at(port)} \\(not connected: .*ECONNREFUSED`))
  const first = await startBroker({ port })
  await until(() => running.address === at(port))
  await first.stop()
  await until(() => running.address !== at(port))
  const second = await startBroker({ port })
  await until(() => running.address === at(port))
  await (await second.client()).publishAsync('hall', '1', { qos: 2 })
  await until(async () => (await count()) === 1)
  expect(said.some(text => text.includes('connected to'))).toBe(true)
})

test('a stop at any moment ends soon, and what was acknowledged is on the log', async () => {
  const { port, client } = await startBroker()
  const { open, commits, count } = await openLog()
  const publisher = await client()
  const waiting = await open({ url: at(port), ...old })
  commits.fail(1_000)
  await publisher.publishAsync('hall', '1', { qos: 1 })
  const begun = performance.now()
  await waiting.stop()
  // Not until the log is tried again, in five seconds.
  expect(performance.now() - begun).toBeLessThan(4_500)
  commits.fail(0)
  await open({ url: at(port), ...old })
  await until(async () => (await count()) === 1)
})

test('a sample is a message from another client to the first topic', async () => {
  const { port } = await startBroker()
  const { open, stored, bus, count } = await openLog()
  const topics = { 'z/+/#': 'mqtt.received', 'a/b': 'mqtt.received' } as const
  await open({ url: at(port), ...old, topics })
  await mqtt({ url: at(port), ...old, clientId: 'desk', topics }).sendSample!(bus)
  await until(async () => (await count()) === 1)
  expect((await stored())[0]!.data).toMatchObject({ topic: 'z/sample/sample', payload: { sample: true } })
  const nobody = mqtt({ url: at(await freePort()), ...old, clientId: 'desk', topics })
  await expect(nobody.sendSample!(bus)).rejects.toMatchObject({
    code: 'E_MQTT_REFUSED',
    message: expect.stringContaining('ECONNREFUSED'),
  })
})

test('a session taken over by another client is not taken back', async () => {
  const script = await startScript(5)
  const { open } = await openLog()
  const said = warnings()
  const running = await open({ url: at(script.port) })
  script.disconnect(142)
  await until(() => running.address.includes('another client connected with the same client id, desk'))
  await until(() => said.some(text => text.includes('option group')))
  expect(script.connections).toHaveLength(1)
})

for (const version of [5, '3.1.1'] as const)
  test(`what was stored before a restart is known until its PUBREL, and then its packet id is free: MQTT ${version}`, async () => {
    const script = await startScript(version)
    const { open, count } = await openLog()
    const settings = { url: at(script.port), version, qos: 2 } as const
    const ids = async (kind: 'pubrec' | 'pubcomp', many: number) => {
      const heard: number[] = []
      while (heard.length < many) heard.push(await script.heard(kind))
      return heard
    }
    const first = await open(settings)
    for (const id of [1, 2, 3]) script.publish(id, '21.5')
    expect(await ids('pubrec', 3)).toEqual([1, 2, 3])
    script.pubrel(3)
    expect(await ids('pubcomp', 1)).toEqual([3])
    await first.stop()
    const second = await open(settings)
    script.publish(1, '21.5', { dup: true })
    expect(await ids('pubrec', 1)).toEqual([1])
    expect(await count()).toBe(3)
    // Of the second the broker had our PUBREC before.
    for (const id of [1, 2]) script.pubrel(id)
    expect(await ids('pubcomp', 2)).toEqual([1, 2])
    for (const id of [1, 2, 3]) script.publish(id, '21.5', { dup: id === 3 })
    expect(await ids('pubrec', 3)).toEqual([1, 2, 3])
    expect(await count()).toBe(6)
    await second.stop()
    script.forget()
    await open(settings)
    script.publish(1, '21.5')
    expect(await ids('pubrec', 1)).toEqual([1])
    expect(await count()).toBe(7)
  })

onAnyBus(world => {
  test('a worker takes messages for the agents of an app, each once, over restarts', async () => {
    const script = await startScript(5)
    const heard = await world()
    const use = [mqtt({ url: at(script.port), clientId: 'desk', topics: ['#'], qos: 2 })]
    const events = async ({ bus }: RunningApp) => (await collect(bus.read({}))).map(({ event }) => event.type)
    const first = await heard.worker({ use }, { only: ['triggers'] })
    expect(first.addresses).toEqual([at(script.port)])
    script.publish(1, 'once', { qos: 1 })
    script.publish(2, 'once', { qos: 2 })
    await script.heard('puback')
    await script.heard('pubrec')
    await first.stop()
    const second = await heard.worker({ use }, { only: ['triggers'] })
    script.publish(1, 'once', { qos: 1, dup: true })
    script.publish(2, 'once', { qos: 2, dup: true })
    await script.heard('puback')
    await script.heard('pubrec')
    expect(await events(second)).toEqual(['mqtt.received', 'mqtt.received'])
  })
})

test('settings that cannot be are refused', () => {
  const good = { clientId: 'desk', topics: ['a'], url: 'mqtt://broker' }
  expect(mqtt(good)).toMatchObject({ name: 'mqtt', types: ['mqtt.received'], address: 'mqtt://broker:1883' })
  expect(mqtt({ ...good, url: 'mqtts://u:p@broker' }).address).toBe('mqtts://broker:8883')
  const broken = [
    [{ clientId: '' }, 'E_APP_INVALID'],
    [{ group: 'a/b' }, 'E_APP_INVALID'],
    [{ group: 'g', version: '3.1.1' as const }, 'E_APP_INVALID'],
    [{ tls: { ca: 'x' } }, 'E_APP_INVALID'],
    [{ name: 'No name' }, 'E_APP_INVALID'],
    [{ url: 'http://broker' }, 'E_SETTING_INVALID'],
    [{ url: 'broker:1883' }, 'E_SETTING_INVALID'],
    [{ url: 'mqtt://user:secret@broker/path' }, 'E_SETTING_INVALID'],
  ] as const
  for (const [change, code] of broken)
    expect(() => mqtt({ ...good, ...change }), JSON.stringify(change)).toThrowError(
      expect.objectContaining({ code, message: expect.not.stringContaining('secret') }),
    )
})

test('without the package it says what to install', () => {
  const hidden = `import { registerHooks } from 'node:module'
    registerHooks({ resolve(name, context, next) {
      if (name !== 'mqtt') return next(name, context)
      throw Object.assign(new Error('Cannot find package'), { code: 'ERR_MODULE_NOT_FOUND' })
    } })`
  const main = `const { mqtt } = await import(${JSON.stringify(join(import.meta.dirname, 'mqtt.ts'))})
    await mqtt({ clientId: 'desk', topics: ['a'] }).start().catch(({ code, message }) => console.log(code, message))`
  const { stdout } = spawnSync(process.execPath, [
    `--import=data:text/javascript,${encodeURIComponent(hidden)}`, '--input-type=module', '-e', main,
  ]) // biome-ignore format: one command
  expect(stdout.toString()).toBe('E_MQTT_MISSING the MQTT trigger needs a package: npm install mqtt\n')
})
