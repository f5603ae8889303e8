import type { Page } from 'playwright-core'
import { expect, it } from 'vitest'
import { z } from 'zod'
import { agent, model } from '../../src/index.ts'
import { reply, scriptedModel } from '../../src/testing/scripted-model.ts'
import { until } from '../../src/testing/wait.ts'
import { describeBrowser } from '../lib/browser.ts'
import { ask, embeddedWorld } from '../lib/world.ts'
import { openConsole, serveApp } from './lib/console.ts'

/* Payloads that are large, hostile, or of other scripts and clocks. */

const script = '<img src=x onerror="document.title=\'broken\'"><script>document.title="broken"</script>'
const answer = `# A report

${script} and [a link](javascript:document.title='broken'), [another](https://example.com/) ![pixel](https://example.com/p.png "${script}")

<a href="javascript:document.title='broken'" onclick="document.title='broken'">raw</a>

مرحبا 👩‍👩‍👧‍👦 <svg onload=document.title='broken'></svg>`

const answers = scriptedModel('answers', ({ text }) => reply(hostile[text] ?? answer))
/** What a reader of Markdown would take too long for, or too much memory. */
const hostile: Readonly<Record<string, string>> = {
  deep: `deep ${'>'.repeat(9_000)}\n${'>'.repeat(9_000)}`,
  marks: `marks ${'_a*'.repeat(5_000)}`,
}
const helper = agent('helper', {
  model: model(answers, { readOnly: true }),
  instructions: 'Answer.',
  input: z.string(),
})

/** Nothing of a payload was run, and the page is not wider than its window. */
async function expectIntact(page: Page): Promise<void> {
  expect(await page.title()).not.toBe('broken')
  expect(await page.locator('main img, #root img').count()).toBe(0)
  expect(await page.locator('a[href^="javascript:" i]').count()).toBe(0)
  expect(await page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth')).toBe(0)
}

/** The longest task of the page so far, in ms. */
const longestTask = (page: Page): Promise<number> =>
  page.evaluate(`new Promise(resolve => {
    new PerformanceObserver(list => resolve(Math.max(...list.getEntries().map(({ duration }) => duration))))
      .observe({ type: 'longtask', buffered: true })
    setTimeout(resolve, 200, 0)
  })`)

const nested = (depth: number): object => (depth === 0 ? { end: 'of it' } : { in: nested(depth - 1) })

await describeBrowser('payloads of all kinds', () => {
  it('are text, never markup, and keep the layout', async () => {
    const { running, url } = await serveApp(await embeddedWorld(), { use: [helper] })
    const long = `x.${'y'.repeat(120)}`
    const sent = await running.bus.publishAll([
        { type: 'hostile.said', data: { text: script, constructor: script } },
        { type: long, source: `/${'s'.repeat(120)}`, user: `${script}${'u'.repeat(100)}`, data: { text: '‮مرحبا بالعالم 👩‍👩‍👧‍👦 שלום' } },
        { type: 'wide.said', data: Object.fromEntries(Array.from({ length: 5_000 }, (_, i) => [`field-${i}`, i])) },
        { type: 'deep.said', data: nested(60) },
        { type: 'binary.said', data: { picture: Buffer.alloc(3_000, 'Tidings1').toString('base64') } },
        { type: 'json.said', data: { hasOwnProperty: 1, toString: 'proto value', valueOf: null } },
      ]) // biome-ignore format: a table
    const ids = sent.map(({ id }) => id)
    const page = await openConsole(url, { path: `live?open=${ids.join(',')}` })
    await page.getByRole('row', { name: 'wide.said' }).waitFor()
    const payload = (id: string) =>
      page.getByRole('region', { name: `Event ${id}` }).getByRole('tree', { name: 'Payload' })
    await payload(ids[0]!).getByText(script).first().waitFor()
    await payload(ids[5]!).getByText('toString').waitFor()
    await payload(ids[5]!).getByText('proto value').waitFor()
    await payload(ids[4]!).getByText('base64, 2.9 KiB').waitFor()
    expect(await page.locator('#root').innerText()).not.toContain(Buffer.from('Tidings1'.repeat(3)).toString('base64'))
    const wide = payload(ids[2]!)
    await wide.getByRole('button').first().click()
    await wide.getByRole('button', { name: '4900 more' }).click()
    await wide.getByText('field-1099', { exact: true }).waitFor()
    const deep = payload(ids[3]!)
    for (let at = 0; at < 10; at++) await deep.getByRole('button').last().click()
    await expectIntact(page)
    expect(await longestTask(page)).toBeLessThan(3_000)

    const { correlationid } = await ask(running, { type: 'agent.invoke', target: 'helper', data: { input: script } })
    for (const input of ['deep', 'marks']) {
      const { id } = await ask(running, { type: 'agent.invoke', target: 'helper', data: { input } })
      await page.goto(`${url}/console/tasks/${id.split(':')[0]}`)
      await page
        .getByText(new RegExp(`^${input} `))
        .last()
        .waitFor()
      expect(await longestTask(page)).toBeLessThan(3_000)
    }
    const shown = {
      [`traces/${correlationid}`]: 'model',
      traces: 'helper',
      tasks: 'helper',
      [`ask?q=${correlationid}`]: 'A report',
    }
    for (const [path, text] of Object.entries(shown)) {
      await page.goto(`${url}/console/${path}`)
      await page.getByText(text).first().waitFor()
      await expectIntact(page)
    }
  })

  it('have times in the zone of the person, and ages by the clock of the gateway', async () => {
    const { running, url } = await serveApp(await embeddedWorld(), { use: [helper] })
    const { time } = await ask(running, {
        type: 'agent.invoke', target: 'helper', data: { input: 'متى تفتحون؟ 👩‍👩‍👧‍👦' },
      }) // biome-ignore format: one line
    for (const [timezoneId, wrongBy] of [
      ['America/St_Johns', -600_000],
      ['Asia/Kathmandu', 600_000],
    ] as const) {
      const page = await openConsole(url, { path: 'live', browser: { timezoneId } })
      await page.context().addInitScript(by => {
        const now = Date.now
        Date.now = () => now() + by
      }, wrongBy)
      for (const path of ['traces', 'tasks', 'health', 'live']) {
        await page.goto(`${url}/console/${path}`)
        await page.locator('time').first().waitFor()
        await until(
          async () =>
            !/\bin \d+ (m|s)\b|\b(9|10|11) m( \d+ s)? ago|-\d+ (ms|s|m)\b/.test(
              await page.locator('main, #content').first().innerText(),
            ),
        )
      }
      const shown = (zone: string) => new Date(time).toLocaleTimeString('en-GB', { timeZone: zone })
      await page.getByRole('row').getByText(shown(timezoneId)).first().waitFor()
      await page.getByRole('button', { name: 'Local time' }).click()
      await page.getByRole('row').getByText(shown('UTC')).first().waitFor()
      await expectIntact(page)
    }
  })

  it('are a bounded preview and a download if they are large', async () => {
    const { running, url } = await serveApp(await embeddedWorld(), { use: [] })
    await running.bus.publish({ type: 'large.said', data: { text: 'Ж'.repeat(2_000_000) } })
    const page = await openConsole(url, { path: 'live' })
    await page.getByRole('row', { name: 'large.said' }).click()
    await page.getByText('3.8 MiB: this is the beginning').waitFor()
    const download = page.waitForEvent('download')
    await page.getByRole('button', { name: 'Download all' }).click()
    await (await download).path()
    expect(await longestTask(page)).toBeLessThan(2_000)
    expect((await page.locator('body').innerText()).length).toBeLessThan(50_000)
  })
})
