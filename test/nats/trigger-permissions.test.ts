import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createTransport } from 'nodemailer'
import { expect, it, onTestFinished, vi } from 'vitest'
import type { RunningApp } from '../../src/index.ts'
import { freePort } from '../../src/testing/ports.ts'
import { collect, until } from '../../src/testing/wait.ts'
import { tidings } from '../lib/cli.ts'
import { startBroker } from '../lib/mqtt-broker.ts'
import { describeNatsServer } from '../lib/nats.ts'
import { curl, signedBy } from '../lib/webhook.ts'
import { dataFolder } from './lib/broker.ts'
import { triggerApp } from './lib/five-triggers-app.ts'
import { client, guarded, role, replyOrRefusal, urlOf, violations } from './lib/guarded.ts'

const file = join(import.meta.dirname, 'lib/five-triggers-app.ts')

/** A place for each trigger, a server with the template, and a log on it. */
async function openWorld() {
  const home = await dataFolder()
  await mkdir(join(home, 'drop'))
  const [nats, mqtt, mail, hooks] = await Promise.all([guarded(), startBroker(), freePort(), freePort()])
  vi.stubEnv('TIDINGS_HOME', home)
  vi.stubEnv('TIDINGS_SMTP_PORT', String(mail))
  vi.stubEnv('TIDINGS_WEBHOOK_PORT', String(hooks))
  vi.stubEnv('TIDINGS_MQTT_URL', `mqtt://127.0.0.1:${mqtt.port}`)
  onTestFinished(() => void vi.unstubAllEnvs())
  const agents = await role(nats, 'agents')
  const transport = createTransport({ host: '127.0.0.1', port: mail, ignoreTLS: true })
  return {
    nats,
    home,
    agents,
    open: () => role(nats, 'triggers', triggerApp()),
    path: (name: string) => join(home, 'drop', name),
    mail: () =>
      transport.sendMail({
        from: 'ann@example.org',
        to: 'desk@example.net',
        subject: 'hello',
        text: 'x'.repeat(20_000),
      }),
    async post(body: string) {
      return (await curl(`http://127.0.0.1:${hooks}/hooks/orders`, body, await signedBy.standard(body))).status
    },
    async message(text: string) {
      await (await mqtt.client()).publishAsync('rooms/hall', text, { qos: 1, retain: true })
    },
  }
}

/** How many events there are of each type that triggers publish, but for the schedule's, which are always more. */
async function counts({ bus }: RunningApp): Promise<Record<string, number>> {
  const types = ['email.received', 'webhook.received', 'file.*', 'mqtt.received']
  const found = await collect(bus.read({ filter: [{ types }] }))
  return Object.fromEntries(
    Object.entries(Object.groupBy(found, ({ event }) => event.type)).map(([type, all]) => [type, all!.length]),
  )
}

const fired = async ({ bus }: RunningApp) =>
  (await collect(bus.read({ filter: [{ types: ['schedule.fired'] }] }))).length

describeNatsServer('triggers with the permissions of the template', () => {
  it('publish, and know after a restart what they have published', async () => {
    const { nats, agents, open, mail, post, message, path } = await openWorld()
    const first = await open()
    await mail()
    expect(await post('{"n":1}')).toBe(202)
    await writeFile(path('orders.csv'), 'id;total')
    await message('{"celsius":21}')
    const all = { 'email.received': 1, 'webhook.received': 1, 'file.created': 1, 'mqtt.received': 1 }
    await until(async () => expect(await counts(agents)).toEqual(all) ?? true, { within: 15_000 })
    await until(async () => (await fired(agents)) > 0)
    await first.stop()

    const before = await fired(agents)
    await open()
    await rm(path('orders.csv'))
    await message('{"celsius":22}')
    await until(
      async () => expect(await counts(agents)).toEqual({ ...all, 'file.removed': 1, 'mqtt.received': 2 }) ?? true,
      { within: 15_000 },
    )
    await until(async () => (await fired(agents)) > before)
    expect(await violations(nats)).toEqual([])
  }, 60_000)

  it('are tried with the rights of the gateway', async () => {
    const { nats, home, open } = await openWorld()
    await open()
    const place = { home, bus: `${urlOf(nats, 'gateway')}/tidings` }
    for (const [name, type] of Object.entries({
      smtp: 'email.received',
      webhook: 'webhook.received',
      tick: 'schedule.fired',
      drop: 'file.created',
      mqtt: 'mqtt.received',
    })) {
      const args = ['trigger', 'test', name, '--app', file, '--within', '20s', '--json']
      const { stdout, stderr } = await tidings(place, args)
      expect([name, stderr]).toEqual([name, ''])
      expect(JSON.parse(stdout)).toMatchObject({ event: { type } })
    }
    expect(await violations(nats)).toEqual([])
  }, 120_000)

  it('may do nothing else', async () => {
    const nats = await guarded()
    await role(nats, 'agents')
    const nc = await client(nats, 'triggers')
    const denied = [
      // Answers, requests, events of the app's own, turns, what groups are handed, signals.
      'tidings.e.0.desk.tool.result',
      'tidings.e.0.desk.model.result',
      'tidings.e.0.helper.agent.invoke',
      'tidings.e.0.desk.approval.granted',
      'tidings.e.0.-.order.placed',
      // What is addressed to somebody is no event of a trigger.
      'tidings.e.0.desk.email.received',
      'tidings.t.0.01890000-0000-7000-8000-000000000000.0000000000',
      'tidings.r.0.app%2Ffirst',
      'tidings.w.0.app%2Ffirst',
      'tidings.signal',
      // Groups, owners, claims, what was set aside, and documents of others.
      'tidings.s.group.tool%2Fother',
      'tidings.s.owner.app%2Ffirst',
      'tidings.s.claim.call',
      'tidings.s.aside.app%2Ffirst.dead.1',
      'tidings.s.doc.paused',
      'tidings.s.doc.workflow.report',
      'tidings.s.doc.replay.01890000-0000-7000-8000-000000000000',
      'tidings.s.doc.gateway.health',
      // Streams and consumers.
      '$JS.API.STREAM.PURGE.tidings',
      '$JS.API.STREAM.MSG.DELETE.tidings_state',
      '$JS.API.CONSUMER.CREATE.tidings.spy',
      '$JS.API.CONSUMER.DURABLE.CREATE.tidings.spy',
      '$JS.API.CONSUMER.MSG.NEXT.tidings.app%2Ffirst@0',
    ]
    for (const subject of denied) expect([subject, await replyOrRefusal(nc, subject)]).toEqual([subject, 'denied'])
    // The same connection still may do what it must.
    expect(await replyOrRefusal(nc, 'tidings.s.doc.schedule.tick', '{}')).toContain('"seq"')
  })
})
