import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { chromium } from 'playwright-core'
import { type RunningApp, start } from '../src/index.ts'
import { until } from '../src/testing/wait.ts'
import { findBrowser } from '../test/lib/browser-find.ts'
import shop from './screenshots-shop.ts'

/*
 * Photographs the console for docs/console: `node scripts/screenshots.ts`, or with the names of views. It runs the report desk and a shop on
 * one log, asks and orders, and visits each view, dark and light, at the size of a desk and of a phone.
 */

const root = join(import.meta.dirname, '..')
const target = join(root, 'docs/console')
const sizes = { desk: { width: 1440, height: 900 }, phone: { width: 390, height: 844 } }
const questions = [
  'How do retries work?',
  'What does a replay check?',
  'How does the embedded log survive a power cut?',
]

const browser = await findBrowser()
if ('reason' in browser) throw new Error(browser.reason)
const home = await mkdtemp(join(tmpdir(), 'tidings-screenshots-'))
const desk = spawn(process.execPath, [join(root, 'examples/report-desk/main.ts'), '--docs', join(root, 'docs')], {
  env: {
    ...process.env,
    TIDINGS_HOME: home,
    TIDINGS_PORT: '0',
    TIDINGS_SMTP_PORT: '0',
    TIDINGS_BUS: '',
    TIDINGS_MODEL: '',
  },
})
try {
  const address = new URL(await consoleAddress())
  const authorization = `Bearer ${address.hash.slice('#key='.length)}`
  const request = (path: string, init: RequestInit = {}) =>
    fetch(new URL(`../${path}`, address), {
      ...init,
      headers: { authorization, 'content-type': 'application/json', prefer: 'wait=30' },
    })
  // Health has samples while somebody looks.
  const looks = new AbortController()
  const watched = await request('health/stream', { signal: looks.signal })
  await using running = await start(shop, { home, only: ['agents', 'tools', 'models'] })
  const places = await story(running, command =>
    request('operations', { method: 'POST', body: JSON.stringify(command) }).then(response => response.json()),
  )
  mkdirSync(target, { recursive: true })
  const opened = await chromium.launch({
    executablePath: browser.path,
    env: browser.env,
    chromiumSandbox: false,
    args: ['--no-zygote', '--disable-gpu'],
  })
  for (const [name, path] of Object.entries(places)) {
    if (process.argv.length > 2 && !process.argv.includes(name)) continue
    for (const [size, viewport] of Object.entries(sizes))
      for (const theme of ['dark', 'light'] as const) {
        const page = await opened.newPage({ viewport, colorScheme: theme, locale: 'en-GB' })
        await page.goto(address.href)
        await page.goto(new URL(path, address).href)
        await page.waitForTimeout(2_500)
        await page.screenshot({ path: join(target, `${name}-${size}-${theme}.png`) })
        await page.close()
      }
    console.log(name)
  }
  await opened.close()
  looks.abort()
  await watched.body?.cancel().catch(() => undefined)
} finally {
  desk.kill('SIGTERM')
  await once(desk, 'exit')
  await rm(home, { recursive: true, force: true, maxRetries: 5 })
}

async function consoleAddress(): Promise<string> {
  for await (const line of createInterface(desk.stdout)) {
    const [found] = /http:\S+\/console\/#key=\S+/.exec(line) ?? []
    if (found === undefined) continue
    desk.stdout.resume()
    return found
  }
  throw new Error('the report desk ended without the address of its console')
}

/** Makes things happen, and says where they are shown. */
async function story(
  running: RunningApp,
  operate: (command: object) => Promise<unknown>,
): Promise<Record<string, string>> {
  const { bus } = running
  const asked: { readonly correlationid: string }[] = []
  for (const question of questions)
    asked.push(await bus.publish({ type: 'question.asked', source: '/screenshots', user: 'ann', data: { question } }))
  for (let n = 11; n < 29; n++)
    await bus.publish({
      type: 'order.placed',
      source: '/shop',
      user: n % 2 ? 'bob' : 'eve',
      data: { order: `A-${n}`, total: n * 7 },
    })
  await bus.publish({
    type: 'order.returned',
    source: '/shop',
    user: 'bob',
    data: { order: 'A-12', amount: 250, reason: 'The cup is broken.' },
  })
  const answered = await running.ask('shop-assistant', 'When does order A-12 arrive?')
  await answered.result({ within: '1m' })
  const open = () => running.approvals()
  await until(async () => (await open()).length >= questions.length + 1 || undefined, { within: 120_000 })
  const first = (await open()).find(({ correlation }) => correlation === asked[0]!.correlationid)!
  await running.approve(first.id, { hash: first.hash, by: 'ann' })
  const correlation = asked[0]!.correlationid
  const task = answered.id
  await until(async () => !(await open()).some(({ id }) => id === first.id) || undefined, { within: 30_000 })
  const refund = (await open()).find(({ name }) => name === 'card.refund')!
  const commands = [
    { action: 'retry', tasks: { agent: 'cashier' } },
    { action: 'pause', kind: 'tool', name: 'orders.find' },
    { action: 'resume', kind: 'tool', name: 'orders.find' },
  ]
  const given: string[] = []
  for (const command of commands) given.push(((await operate(command)) as { operation: string }).operation)
  return {
    live: 'live',
    traces: 'traces',
    trace: `traces/${correlation}`,
    tasks: 'tasks',
    task: `tasks/${task}`,
    workflows: 'workflows',
    workflow: 'workflows/order-watch',
    inbox: `inbox?at=${encodeURIComponent(refund.id)}`,
    attention: 'attention',
    operations: `operations/${given[0]}`,
    health: 'health',
    ask: `ask?q=${asked[1]!.correlationid}`,
    offline: 'offline',
  }
}
