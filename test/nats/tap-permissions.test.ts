import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { agent, app } from '../../src/index.ts'
import { connect } from '../../src/runtime/connect.ts'
import { strangler } from '../../src/runtime/strangler.ts'
import { readParityReport } from '../../src/strangler/parity-report.ts'
import { openaiServer } from '../../src/testing/openai-server.ts'
import { until } from '../../src/testing/wait.ts'
import { describeNatsServer } from '../lib/nats.ts'
import type { World } from '../lib/world.ts'
import { listening } from '../taps/lib/listening.ts'
import { modelTapped, post } from '../taps/lib/model-tapped.ts'
import { httpTapped, recordedBy } from '../taps/lib/tapped.ts'
import { dataFolder } from './lib/broker.ts'
import { client, guarded, password, replyOrRefusal, role, urlOf, violations } from './lib/guarded.ts'

/* What docs/nats.md says that taps and stranglers need, as users of a server with the template. */

const page = readFileSync(join(import.meta.dirname, '../../docs/nats.md'), 'utf8')

/** The subjects of a row, for the log `tidings` and the tap `test`. */
function subjectsOf(row: string): string[] {
  const line = page.split('\n').find(each => each.startsWith(`| ${row}`))!
  const text = line.split('|')[2]!.replaceAll('LOG', 'tidings').replaceAll('NAME', 'test')
  return text.match(/(?<=`)[^`]+\.[^`]+(?=`)/g)!
}

const ofReaders = ['tidings', 'tidings_state', 'tidings_blobs'].flatMap(stream =>
  ['STREAM.INFO', 'STREAM.MSG.GET', 'DIRECT.GET'].map(name => `$JS.API.${name}.${stream}`),
)

const guardedWith = (user: string, permissions: string) => {
  const entry = `{ user: ${user}, password: ${JSON.stringify(password(user))}, permissions {\n${permissions}\nsubscribe: ["_INBOX.>", "tidings.signal"] } }`
  return guarded({ change: text => text.replace('users: [', `users: [\n${entry}`) })
}

describeNatsServer('with the permissions of the page', () => {
  it('a tap records, continues conversations, and ends what another process left, and may do nothing else', async () => {
    const publish = [...subjectsOf('a [tap]'), ...ofReaders]
    const nats = await guardedWith('taps', `publish: ${JSON.stringify(publish)}`)
    const agents = await role(nats, 'agents')
    const world = { place: { home: await dataFolder(), bus: `${urlOf(nats, 'taps')}/tidings?timeout=3000` } } as World
    await using server = await openaiServer({ text: 'At six.' }, { text: 'Yes.' })
    const { url, calls } = await modelTapped(world, server.url, { budget: { tokens: 1 } })
    const messages = [{ role: 'user', content: 'When does it close?' }]
    await (await post(`${url}/v1/chat/completions`, { model: 'any-1', messages })).text()
    await calls(1)
    const next = [...messages, { role: 'assistant', content: 'At six.' }, { role: 'user', content: 'Every day?' }]
    await (await post(`${url}/v1/chat/completions`, { model: 'any-1', messages: next })).text()
    const [one, two] = await calls(2)
    expect(two!.request.correlationid).toBe(one!.request.correlationid)
    const echo = await listening(createServer((incoming, outgoing) => void incoming.pipe(outgoing)))
    const http = await httpTapped(world, echo, { routes: ['POST /*'] })
    await (await fetch(`${http.url}/x`, { method: 'POST', body: randomBytes(1_000) })).arrayBuffer()
    const [request] = await recordedBy(agents.bus, '/taps/test', /^http\./, 2)
    expect(request!.data).toMatchObject({ body: { blob: expect.any(String) } })
    await recordedBy(agents.bus, '/taps/test', /^tap\.budget/, 1)
    expect(await violations(nats)).toEqual([])

    const nc = await client(nats, 'taps')
    const denied = [
      'tidings.e.0.desk.tool.result', 'tidings.e.0.helper.agent.invoke', 'tidings.e.0.-.order.placed', 'tidings.e.0.tap%3Aother.model.invoke',
      'tidings.t.0.01890000-0000-7000-8000-000000000000.0000000000', 'tidings.s.doc.keys', 'tidings.s.doc.strangler.orders', 'tidings.s.doc.tap.other',
      'tidings.s.claim.call', '$JS.API.STREAM.PURGE.tidings', '$JS.API.CONSUMER.CREATE.tidings.spy', '$JS.API.CONSUMER.MSG.NEXT.tidings.app%2Ffirst@0',
    ] // biome-ignore format: one list
    for (const subject of denied) expect([subject, await replyOrRefusal(nc, subject)]).toEqual([subject, 'denied'])
  }, 60_000)

  it('a web server with a strangler asks, mirrors, changes percentages and reports', async () => {
    const ofGateway = /user: gateway,[^]*?publish (\{[^]*?\n {10}\})\n/.exec(
      readFileSync(join(import.meta.dirname, '../../deploy/nats/accounts.conf'), 'utf8'),
    )![1]!
    const more = subjectsOf('a web server').map(each => JSON.stringify(each))
    const nats = await guardedWith('web', `publish ${ofGateway.replace('allow: [', `allow: [ ${more.join(', ')},`)}`)
    const clerk = agent('clerk', { run: async (_, n: number) => n * 2 })
    await role(nats, 'agents', app({ name: 'first', use: [clerk] }))
    const open = () => connect(`${urlOf(nats, 'web')}/tidings?timeout=3000`)
    const sums = strangler('sums', {
      old: (n: number) => n * 2,
      candidate: clerk,
      log: open,
      rollback: { errorRate: 0.5 },
    })
    onTestFinished(() => sums.close())
    await sums.open()
    await sums.set({ mirror: 100 }, { by: 'ann' })
    expect(await sums.run(1)).toBe(2)
    await sums.set({ percent: 100 }, { by: 'ann' })
    expect(await sums.run(2)).toBe(4)
    await sums.rollback({ by: 'ann' })
    const log = await open()
    onTestFinished(() => log.close())
    const report = await until(async () => {
      const found = await readParityReport(log.bus, 'sums', { since: 0 })
      return found.comparisons === 1 && found.served.candidate.finished === 1 && found
    })
    expect(report.decisions).toHaveLength(3)
    expect(await violations(nats)).toEqual([])
  }, 60_000)
})
