import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { chromium } from 'playwright-core'
import { app, start } from '../src/index.ts'
import { findBrowser } from '../test/lib/browser-find.ts'

/*
 * The live view of the console while events arrive: `node bench/console.ts [EVENTS PER SECOND] [SECONDS]`. Prints whether its counter misses
 * an event, how long its tasks hold the browser, and how its memory grows. Browser, gateway and publisher share the machine.
 */

const [rate = 500, seconds = 60] = process.argv.slice(2).map(Number)
const ticksPerSecond = 10

const browser = await findBrowser()
if ('reason' in browser) throw new Error(browser.reason)
const home = await mkdtemp(join(tmpdir(), 'tidings-bench-console-'))
const running = await start(app({ name: 'bench', use: [] }), { home, bus: 'sqlite', only: ['gateway'], port: 0 })
const opened = await chromium.launch({
  executablePath: browser.path,
  env: browser.env,
  chromiumSandbox: false,
  args: ['--no-zygote', '--disable-gpu', '--enable-precise-memory-info'],
})
try {
  const page = await opened.newPage({ viewport: { width: 1440, height: 900 } })
  await page.goto(running.console!)
  // What happened before the page was open is listed, and not counted.
  await page.getByText('The log is empty').waitFor()
  await page.evaluate(`{
    globalThis.held = []
    new PerformanceObserver(list => held.push(...list.getEntries().map(({ duration }) => duration))).observe({ type: 'longtask' })
    globalThis.frames = []
    let last = performance.now()
    const frame = now => { frames.push(now - last); last = now; requestAnimationFrame(frame) }
    requestAnimationFrame(frame)
  }`)
  const heap = async () => (await page.evaluate('performance.memory.usedJSHeapSize')) as number
  const before = await heap()
  let published = 0
  const begin = performance.now()
  for (let tick = 0; tick < seconds * ticksPerSecond; tick++) {
    const count = rate / ticksPerSecond
    await running.bus.publishAll(
      Array.from({ length: count }, (_, i) => ({
        type: 'reading.taken',
        source: '/bench',
        user: `user-${i % 7}`,
        data: {
          sensor: `s-${i % 40}`,
          value: Math.random(),
          note: 'Water level at the harbour, in metres above zero.',
        },
      })),
    )
    published += count
    await setTimeout(Math.max(0, begin + ((tick + 1) * 1_000) / ticksPerSecond - performance.now()))
  }
  const took = (performance.now() - begin) / 1_000
  const arrived = () => page.locator('[data-arrived]').getAttribute('data-arrived').then(Number)
  for (let wait = 0; wait < 100 && (await arrived()) < published; wait++) await setTimeout(100)
  const { held, frames } = (await page.evaluate('({ held, frames })')) as { held: number[]; frames: number[] }
  const at = (values: number[], share: number) =>
    values.toSorted((a, b) => a - b)[Math.floor(values.length * share)] ?? 0
  const megabytes = ((await heap()) - before) / 1024 / 1024
  console.log(`published   ${published} events in ${took.toFixed(1)} s (${(published / took).toFixed(0)}/s)`)
  console.log(`counted     ${await arrived()}`)
  console.log(`long tasks  ${held.length} of more than 50 ms, the longest ${Math.max(0, ...held).toFixed(0)} ms`)
  console.log(
    `frames      p50 ${at(frames, 0.5).toFixed(0)} ms, p95 ${at(frames, 0.95).toFixed(0)} ms, p99 ${at(frames, 0.99).toFixed(0)} ms`,
  )
  console.log(`heap        ${megabytes.toFixed(0)} MiB more`)
} finally {
  await opened.close()
  await running.stop()
  await rm(home, { recursive: true, force: true })
}
