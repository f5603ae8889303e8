import { createServer } from 'node:http'
import { once } from 'node:events'
import { mkdtemp, readFile, writeFile } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { Admin } from '@platformatic/kafka'
import { afterAll, afterEach, beforeAll, expect, onTestFinished, test } from 'vitest'
import first from '../../examples/first/app.ts'
import type { Driver } from '../../src/bus/driver.ts'
import { TidingsError } from '../../src/errors.ts'
import { openKafka, type KafkaDriverOptions } from '../../src/drivers/kafka/index.ts'
import { kafka, kafkaSink, start, type Role, type RunningApp } from '../../src/index.ts'
import { until } from '../../src/testing/wait.ts'
import { describeKafkaServer } from '../lib/kafka.ts'
import { openLog } from '../lib/kafka-topics.ts'
import { eventsOf } from '../lib/world.ts'
import { password, startGuardedKafka, type GuardedKafka } from './lib/guarded-kafka.ts'

const slow = { timeout: 180_000 }

describeKafkaServer('a broker that wants to know who is there', () => {
  let broker: GuardedKafka
  const drivers: Driver[] = []

  beforeAll(async () => {
    broker = await startGuardedKafka()
    // One user makes the log, so that the others find it.
    await open(`kafka://${login('agents')}/tidings?sasl=plain`)
  }, 180_000)
  afterEach(() => Promise.all(drivers.splice(0).map(driver => driver.close())))
  afterAll(() => broker?.[Symbol.asyncDispose]())

  const login = (user: string, secret = password(user)) => `${user}:${secret}@127.0.0.1:${broker.ports.login}`

  async function open(url: string, options: Partial<KafkaDriverOptions> = {}) {
    const driver = await openKafka({
      url: url.includes('timeout=') ? url : `${url}&timeout=60000`,
      partitions: 1,
      ...options,
    })
    drivers.push(driver)
    return driver
  }

  async function refusal(url: string, options: Partial<KafkaDriverOptions> = {}): Promise<TidingsError> {
    const began = performance.now()
    const error: unknown = await open(url, options).then(
      () => undefined,
      (reason: unknown) => reason,
    )
    expect(error).toBeInstanceOf(TidingsError)
    // It does not wait for what cannot change.
    expect(performance.now() - began).toBeLessThan(50_000)
    const text = `${(error as TidingsError).message} ${JSON.stringify(error)}`
    for (const secret of [password('agents'), 'wrong-secret']) expect(text).not.toContain(secret)
    return error as TidingsError
  }

  test.each(['plain', 'scram-sha-256', 'scram-sha-512'])(
    'sasl=%s logs in, and a wrong password is refused',
    slow,
    async sasl => {
      const driver = await open(`kafka://${login('workers')}/tidings?sasl=${sasl}`)
      expect(driver.partitions).toBe(1)
      const refused = await refusal(`kafka://${login('workers', 'wrong-secret')}/tidings?sasl=${sasl}`)
      expect(refused).toMatchObject({
        code: 'E_BUS_DENIED',
        message: expect.stringContaining('refuses the credentials'),
      })
    },
  )

  test(
    'a password and a token are read from files, a token from a function or from a token endpoint',
    slow,
    async () => {
      const at = `127.0.0.1:${broker.ports.login}/tidings`
      const file = join(broker.folder, 'secret')
      await writeFile(file, `${password('workers')}\n`)
      await open(`kafka://workers@${at}?sasl=scram-sha-512&password=${file}`)
      await writeFile(file, `${await broker.token('workers')}\n`)
      await open(`kafka://${at}?sasl=oauthbearer&token=${file}`)
      await open(`kafka://${at}?timeout=60000`, { token: () => broker.token('workers') })
      const asked: string[] = []
      const endpoint = createServer((request, response) => {
        asked.push(`${request.headers.authorization}`)
        void broker
          .token('workers')
          .then(token => response.end(JSON.stringify({ access_token: token, expires_in: 300 })))
      })
      await once(endpoint.listen(0, '127.0.0.1'), 'listening')
      onTestFinished(() => void endpoint.close())
      const url = `http://127.0.0.1:${(endpoint.address() as AddressInfo).port}/token`
      await open(`kafka://workers:id-secret@${at}?sasl=oauthbearer&tokenurl=${url}&scope=kafka`)
      // Asked once, for all connections.
      expect(asked).toEqual([`Basic ${Buffer.from('workers:id-secret').toString('base64')}`])
      const refused = await refusal(`kafka://${at}?timeout=60000`, { token: () => broker.token('workers', 'another') })
      expect(refused).toMatchObject({
        code: 'E_BUS_DENIED',
        message: expect.stringContaining('refuses the credentials'),
      })
    },
  )

  test('TLS needs an authority that is trusted, and a certificate where the broker wants one', slow, async () => {
    const { files, ports } = broker
    const withTls = `kafkas://workers:${password('workers')}@127.0.0.1:${ports.logintls}/tidings?sasl=scram-sha-256`
    await open(`${withTls}&ca=${files.ca}`)
    expect(await refusal(withTls)).toMatchObject({ code: 'E_BUS_TLS', message: expect.stringContaining('ca=FILE') })
    const plain = await refusal(`kafka://127.0.0.1:${ports.certificates}/tidings?timeout=60000`)
    expect(plain).toMatchObject({ code: 'E_BUS_TLS', message: expect.stringContaining('write kafkas://') })
    // The client does not say what it got.
    const inClear = await refusal(withTls.replace('kafkas://', 'kafka://').replace('sasl', 'timeout=2000&sasl'))
    expect(inClear).toMatchObject({ code: 'E_LOG_UNAVAILABLE', message: expect.stringContaining('TLS (kafkas://)') })
    const toPlain = await refusal(`kafkas://${login('workers')}/tidings?sasl=plain&ca=${files.ca}`)
    expect(toPlain).toMatchObject({ code: 'E_BUS_TLS', message: expect.stringContaining('does not speak TLS') })

    const certificates = `kafkas://127.0.0.1:${ports.certificates}/tidings?ca=${files.ca}`
    await open(`${certificates}&cert=${files.cert}&key=${files.key}`)
    for (const other of ['', `&cert=${files.strangerCert}&key=${files.strangerKey}`])
      expect(await refusal(`${certificates}${other}`)).toMatchObject({ code: 'E_BUS_TLS' })
  })

  test('a login where there is none, and none where there is one, say so', slow, async () => {
    const needless = await refusal(
      `kafka://workers:${password('workers')}@${broker.kafka.bootstrap}/tidings?sasl=plain`,
    )
    expect(needless).toMatchObject({ code: 'E_BUS_DENIED', message: expect.stringContaining('has no login') })
    const missing = await refusal(`kafka://127.0.0.1:${broker.ports.login}/tidings?timeout=2000`)
    expect(missing).toMatchObject({ code: 'E_LOG_UNAVAILABLE', message: expect.stringContaining('sasl=') })
  })

  test('a user without rights is told what it lacks', slow, async () => {
    const refused = await refusal(`kafka://${login('nobody')}/tidings?sasl=plain`)
    expect(refused).toMatchObject({ code: 'E_BUS_DENIED', message: expect.stringMatching(/"nobody".*AUTHORIZATION/) })
    const elsewhere = await refusal(`kafka://${login('agents')}/another?sasl=plain`)
    expect(elsewhere).toMatchObject({ code: 'E_BUS_DENIED', message: expect.stringMatching(/"agents".*AUTHORIZATION/) })
  })

  test('a trigger logs in over TLS, and a sink shows a certificate', slow, async () => {
    const { files, kafka, ports } = broker
    const topic = 'tidings.orders'
    const admin = new Admin({ clientId: 'test', bootstrapBrokers: [kafka.bootstrap], retries: 50, retryDelay: 100 })
    await admin.createTopics({ topics: [topic], partitions: 1, replicas: 1 })
    await admin.close()
    const [from, to] = [await openLog(), await openLog()]
    const pem = (file: string) => readFile(file, 'utf8')
    await from.write({
      url: `kafkas://127.0.0.1:${ports.certificates}`,
      tls: { ca: await pem(files.ca), cert: await pem(files.cert), key: await pem(files.key) },
      topics: { [topic]: { types: ['order.paid'] } },
    })
    await to.read({
      name: topic,
      group: 'tidings.shop',
      url: `kafkas://agents:${password('agents')}@127.0.0.1:${ports.logintls}?sasl=scram-sha-256&ca=${files.ca}`,
    })
    await from.bus.publish({ type: 'order.paid', data: { order: 'A1' } })
    expect((await to.events(1))[0]!.data).toMatchObject({ topic, value: { order: 'A1' } })
  })

  test('a trigger and a sink with a wrong password do not start', slow, async () => {
    const { bus } = await openLog()
    const url = `kafka://${login('agents', 'wrong-secret')}?sasl=scram-sha-256`
    const refused = expect.objectContaining({ code: 'E_KAFKA_REFUSED' })
    await expect(kafka({ url, group: 'tidings.shop', topics: ['tidings.orders'] }).start(bus)).rejects.toThrow(refused)
    await expect(
      kafkaSink({ url, topics: { 'tidings.orders': { types: ['order.paid'] } } }).start(bus),
    ).rejects.toThrow(refused)
  })

  test('the roles of an app work with the rights of the template', slow, async () => {
    const bus = (user: string) => `kafka://${login(user)}/tidings?sasl=scram-sha-512&timeout=60000`
    const started: RunningApp[] = []
    const role = async (only: Role[], user: string) => {
      const running = await start(first, { bus: bus(user), only, home: await mkdtemp(join(broker.folder, 'home-')) })
      started.push(running)
      return running
    }
    const agents = await role(['agents'], 'agents')
    const others = await role(['tools', 'models'], 'workers')
    try {
      const { correlationid } = await others.bus.publish({
        type: 'question.asked',
        data: { text: 'When is the shop open on Sunday?' },
      })
      const answer = await until(
        async () => (await eventsOf(agents, correlationid)).find(({ type }) => type === 'question.answered'),
        { within: 60_000 },
      )
      expect(answer.data).toMatchObject({ answer: expect.stringContaining('On Sunday the shop is open') })
    } finally {
      for (const running of started) await running.stop()
    }
  })
})
