import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chromium } from 'playwright-core'
import { TraceLines } from '../console/src/trace/trace-lines.ts'
import type { CloudEvent } from '../src/event.ts'
import { app, start } from '../src/index.ts'
import { longCorrelation, publishLongTask } from '../test/console/lib/long-task.ts'
import { findBrowser } from '../test/lib/browser-find.ts'

/*
 * A large trace in the console: `node bench/console-trace.ts [EVENTS] [ROUNDS]`. Prints what the gateway needs for its rows, what the lines
 * cost, and when the page shows the first of them and all. Browser and gateway share the machine.
 */

const [count = 30_000, rounds = 5] = process.argv.slice(2).map(Number)
const turns = Math.floor(count / 3)
const events = 3 * turns + 1

const browser = await findBrowser()
if ('reason' in browser) throw new Error(browser.reason)
const home = await mkdtemp(join(tmpdir(), 'tidings-bench-trace-'))
const running = await start(app({ name: 'bench', use: [] }), { home, bus: 'sqlite', only: ['gateway'], port: 0 })
const opened = await chromium.launch({
  executablePath: browser.path,
  env: browser.env,
  chromiumSandbox: false,
  args: ['--no-zygote', '--disable-gpu'],
})
const median = (values: number[]) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0
const text = (values: number[]) =>
  `${median(values).toFixed(0)} ms (${Math.min(...values).toFixed(0)} to ${Math.max(...values).toFixed(0)})`
try {
  await publishLongTask(running.bus, turns)
  const { origin } = new URL(running.console!)
  const times = { request: [], parse: [], lines: [], first: [], all: [], longest: [] } as Record<string, number[]>
  for (let round = 0; round < rounds; round++) {
    const begin = performance.now()
    const response = await fetch(`${origin}/correlations/${longCorrelation}/events`)
    const json = await response.text()
    const read = performance.now()
    const { events: rows } = JSON.parse(json) as { events: CloudEvent[] }
    const parsed = performance.now()
    new TraceLines().build(rows)
    times.request!.push(read - begin)
    times.parse!.push(parsed - read)
    times.lines!.push(performance.now() - parsed)
    if (round === 0) console.log(`rows        ${rows.length}, ${(json.length / 1024 / 1024).toFixed(1)} MiB`)
    const page = await opened.newPage({ viewport: { width: 1440, height: 900 } })
    await page.goto(running.console!)
    await page.getByRole('row').first().waitFor()
    await page.evaluate(`{
      globalThis.held = []
      new PerformanceObserver(list => held.push(...list.getEntries().map(({ duration }) => duration))).observe({ type: 'longtask' })
    }`)
    // As a person goes there: the page is open, the trace is not.
    const shown = await page.evaluate<[number, number, number]>(`new Promise(resolve => {
      const begin = performance.now()
      let first
      const look = () => {
        first ??= document.querySelector('section[aria-label=Trace] [role=row]') ? performance.now() - begin : undefined
        const isAll = document.body.innerText.includes(${JSON.stringify(`events ${events.toLocaleString('en')}`)})
        if (first !== undefined && isAll) resolve([first, performance.now() - begin, Math.max(0, ...held)])
        else requestAnimationFrame(look)
      }
      history.pushState({}, '', ${JSON.stringify(`${origin}/console/traces/${longCorrelation}`)})
      dispatchEvent(new PopStateEvent('popstate'))
      look()
    })`)
    for (const [i, name] of (['first', 'all', 'longest'] as const).entries()) times[name]!.push(shown[i]!)
    await page.close()
  }
  console.log(`gateway     ${text(times.request!)} to send the rows, ${text(times.parse!)} to parse them`)
  console.log(`lines       ${text(times.lines!)} to build the lines`)
  console.log(`page        first rows after ${text(times.first!)}, all after ${text(times.all!)}`)
  console.log(`            longest task of the page ${text(times.longest!)}`)
} finally {
  await opened.close()
  await running.stop()
  await rm(home, { recursive: true, force: true })
}
