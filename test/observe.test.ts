import { createTransport } from 'nodemailer'
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stripVTControlCharacters } from 'node:util'
import { expect, onTestFinished, test } from 'vitest'
import { z } from 'zod'
import { agent, smtp, tool, type AppOptions } from '../src/index.ts'
import { openBus } from '../src/runtime/environment.ts'
import type { RunningApp } from '../src/runtime/start.ts'
import { until } from '../src/testing/wait.ts'
import { tidings } from './lib/cli.ts'
import { plainModel } from './lib/plain-model.ts'
import { onTerminal, testOnTerminal } from './lib/terminal.ts'
import { ask, eventsOf, onAnyBus, type World } from './lib/world.ts'

/* What happened, asked by a person: each verb is a process of its own, and so is what it finds in the index. */

const search = tool('web.search', {
  description: 'Search the web',
  input: z.object({ q: z.string() }),
  run: ({ q }) => ({ found: `${q} opens at noon`, page: 'x'.repeat(20_000) }),
})

const researcher = () =>
  agent('researcher', {
    version: 3,
    model: plainModel(prompt =>
      prompt.some(({ role }) => role === 'tool')
        ? 'It opens at noon.'
        : [{ id: 'c1', tool: 'web_search', input: { q: 'bakery' } }],
    ).model,
    instructions: 'Look it up.\nCite what you find.',
    tools: [search],
  })

function stations(): AppOptions {
  const research = researcher()
  const desk = agent('desk', {
    version: 2,
    on: 'email.received',
    run: async ctx => ctx.call(research, 'When does it open?'),
  })
  const waiter = agent('waiter', { on: 'wait.wanted', run: ctx => ctx.call({ kind: 'tool', name: 'nobody' }, null) })
  const failer = agent('failer', {
    on: 'failure.wanted',
    run: async () => {
      throw new Error('no luck')
    },
  })
  return { use: [desk, research, waiter, failer, search] }
}

/** A mail that came by SMTP; resolves when the task that it started has ended. */
async function mail({ bus }: RunningApp, subject: string): Promise<string> {
  const trigger = await smtp({ port: 0 }).start(bus)
  onTestFinished(() => trigger.stop())
  const transport = createTransport({ host: '127.0.0.1', port: Number(new URL(trigger.address).port), ignoreTLS: true })
  await transport.sendMail({
    from: 'ann@example.org',
    to: 'desk@example.net',
    subject,
    text: 'When does the bakery open?',
  })
  transport.close()
  return until(async () => {
    for await (const { event } of bus.read({ filter: [{ types: ['agent.task.completed'] }] }))
      if (event.source === '/agents/desk') return event.id
    return undefined
  })
}

async function lines(place: World['place'], ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await tidings(place, args)
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  return stdout
}

const records = async <T = Record<string, any>>(place: World['place'], ...args: string[]): Promise<T[]> =>
  (await lines(place, ...args, '--json'))
    .split('\n')
    .filter(Boolean)
    .map(line => JSON.parse(line) as T)

onAnyBus(world => {
  test('an agent that an agent called that a mail called: trace, tasks, find, why and top', async () => {
    const { place, worker } = await started(world)
    const completed = await mail(worker, 'Opening hours')

    const [tree, tasks, found, actions] = await Promise.all([
      lines(place, 'trace', 'last'),
      records(place, 'tasks'),
      records(place, 'find', 'BAKERY', '--type', 'tool.*'),
      records(place, 'trace'),
    ])
    expect(tree).toMatch(/email\.received .*\n└─ agent desk v2 .*\n {3}└─ agent researcher v3 /)
    expect(tasks.map(({ program, version, state, turns }) => [program, version, state, turns])).toEqual([
      ['desk', 2, 'completed', 2],
      ['researcher', 3, 'completed', 4],
    ])
    expect(found.map(({ event }) => event.type)).toEqual(['tool.result', 'tool.invoke'])
    expect(actions).toMatchObject([
      { type: 'email.received', title: expect.stringContaining('Opening hours'), tasks: 2, live: 0 },
    ])

    const reasons = await records(place, 'why', found[1]!.event.id)
    expect(reasons.map(({ event, by }) => [event.type, by.kind, by.name])).toEqual([
      ['tool.invoke', 'agent', 'researcher'],
      ['model.result', 'model', 'test/plain'],
      ['model.invoke', 'agent', 'researcher'],
      ['agent.invoke', 'agent', 'desk'],
      ['email.received', 'trigger', 'smtp'],
    ])
    const hashes = new Map(tasks.map(({ program, hash }) => [program, hash]))
    expect(reasons[0]!.by).toMatchObject({ version: 3, hash: hashes.get('researcher'), turn: 2 })
    expect(reasons[3]!.by).toMatchObject({ version: 2, hash: hashes.get('desk'), turn: 1 })
    expect(reasons[2]!.asked).toMatchObject({
      model: 'test/plain',
      instructions: 'Look it up.\nCite what you find.',
      messages: [{ role: 'user', content: 'When does it open?' }],
    })
    // By the end of an id, and of an answer whose data lies in a blob.
    const text = await lines(place, 'why', completed.slice(-14))
    expect(text).toMatch(/^├─ agent\.task\.completed +agent desk v2 [0-9a-f]{8}, turn 2/)
    expect(text).toMatch(
      /instructions +Look it up\.\n│ +Cite what you find\.\n│ +assistant .*web_search.*\n│ +tool +\{"found":"bakery opens/,
    )
    expect(text).toMatch(/\n└─ email\.received +trigger smtp [^\n]*\n[^\n]*Opening hours[^\n]*\n$/)

    const [picture] = await records(place, 'top', '--once')
    expect(picture!.groups.map(({ group }: { group: string }) => group)).toEqual(
      expect.arrayContaining(['app/test', 'tool/web.search']),
    )
    expect(picture!.activity).toMatchObject({
      tools: [{ name: 'web.search', calls: 1, failed: 0 }],
      models: [{ name: 'test/plain', calls: 2 }],
      tokens: 4,
    })
  })

  test('every verb prints the same bytes after the index was deleted', async () => {
    const { place, worker } = await started(world)
    const { correlationid } = await worker.bus.publish({ type: 'wait.wanted', data: 'for ever' })
    await until(async () => (await eventsOf(worker, correlationid)).some(({ type }) => type === 'tool.invoke'))
    await ask(worker, { type: 'failure.wanted', data: null })
    const terms = {
      kind: 'redrive',
      of: { correlation: correlationid },
      effects: {},
      by: '/test',
      at: '2026-11-25T00:00:00.000Z',
    }
    await worker.bus.driver.putDocument('replay/again-1', JSON.stringify(terms), 0)
    await worker.bus.publish({ type: 'note.made', data: 'again', replay: 'redrive/again-1' })
    const verbs = [['trace', 'last'], ['trace'], ['tasks'], ['find', 'wait*'], ['why', ':0000002:0']]
    const answers = async () => Promise.all(verbs.map(verb => tidings(place, verb)))
    const before = await answers()
    await rm(join(place.home, 'index'), { recursive: true })
    expect(await answers()).toEqual(before)
    expect(before.map(({ code }) => code)).toEqual([0, 0, 0, 0, 1])

    expect(before[0]!.stdout).toContain(`[redrive of ${correlationid}]`)
    const listed = before[2]!.stdout.split('\n')
    expect(listed[0]).toMatch(/^failed +failer v1 /)
    expect(listed[1]).toMatch(/^waiting +waiter v1 .*waits for nobody$/)
    const waiting = await records(place, 'tasks', '--program', 'waiter', '--state', 'waiting', '--since', '1h')
    expect(waiting).toMatchObject([{ program: 'waiter', turns: 1, waitsFor: ['nobody'] }])
  })
})

testOnTerminal(
  'top draws on a screen of its own, follows the log and the size, and gives the screen back',
  async () => {
    const home = await mkdtemp(join(tmpdir(), 'tidings-top-'))
    const place = { home, bus: 'sqlite' }
    const bus = await openBus(place)
    onTestFinished(async () => {
      await bus.driver.close()
      await rm(home, { recursive: true, force: true })
    })
    const child = onTerminal(place, 'top', 14, 50)
    onTestFinished(() => void child.kill('SIGKILL'))
    let printed = ''
    child.stdout!.setEncoding('utf8').on('data', text => (printed += text))
    const gone = once(child, 'exit')
    await until(() => printed.includes('events/s'), { within: 20_000 })
    const [, terminal, screen] = /^(\S+)\s+(.*)/s.exec(printed)!
    expect(screen).toMatch(/^\u001b\[\?1049h\u001b\[\?25l\u001b\[H/)
    const pictures = () => printed.split('\u001b[H').slice(1, -1)
    const sizes = (all: string[]) =>
      all.map(picture => picture.split(/\r*\n/).map(line => stripVTControlCharacters(line).length))
    await bus.publish({ type: `order.${'very-'.repeat(20)}long`, data: null })
    await until(() => pictures().some(picture => picture.includes('order.very')), { within: 20_000 })
    expect(Math.max(...sizes(pictures()).flat())).toBeLessThanOrEqual(50)
    expect(Math.max(...sizes(pictures()).flat())).toBeGreaterThan(30)

    execFileSync('stty', ['-F', terminal!, 'rows', '6', 'columns', '30'])
    await until(
      () => {
        const [last] = sizes(pictures().slice(-1))
        return last!.length === 6 && Math.max(...last!) === 30
      },
      { within: 20_000 },
    )

    child.stdin!.write('\u0003')
    expect((await gone)[0]).toBe(0)
    expect(printed).toMatch(/\u001b\[\?25h\u001b\[\?1049l$/)
  },
)

async function started(world: () => Promise<World>) {
  const made = await world()
  return { place: made.place, worker: await made.worker(stations()) }
}
