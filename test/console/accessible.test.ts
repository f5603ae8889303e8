import { expect, it } from 'vitest'
import { z } from 'zod'
import { agent } from '../../src/agents/agent.ts'
import { tool } from '../../src/tools/tool.ts'
import { until } from '../../src/testing/wait.ts'
import { describeBrowser } from '../lib/browser.ts'
import { embeddedWorld } from '../lib/world.ts'
import { seriousProblems } from './lib/accessible.ts'
import { openConsole, serveApp } from './lib/console.ts'

const pay = tool('pay', {
  description: 'Pays.',
  input: z.object({ amount: z.number() }),
  approval: true,
  run: () => 'paid',
})
const clerk = agent('clerk', {
  on: 'bill.came',
  run: async (ctx, { amount }: { amount: number }) => {
    if (amount < 0) throw new Error('a bill cannot be negative')
    return ctx.call(pay, { amount })
  },
})

await describeBrowser('every view', () => {
  it('has nothing serious for axe, in both themes', { timeout: 240_000 }, async () => {
    const { running, url } = await serveApp(await embeddedWorld(), { use: [clerk, pay] })
    const { correlationid } = await running.bus.publish({ type: 'bill.came', data: { amount: 12 } })
    await running.bus.publish({ type: 'bill.came', data: { amount: -1 } })
    await until(async () => (await running.approvals()).length === 1 || undefined)
    const page = await openConsole(url, { path: `live${new URL(running.console!).hash}` })
    const views = [
      'live?failed=1',
      'traces',
      `traces/${correlationid}`,
      'tasks',
      'workflows',
      'inbox',
      'attention',
      'operations',
      'ask',
      'offline',
    ]
    const found: string[] = []
    for (const theme of ['dark', 'light'] as const) {
      await page.emulateMedia({ colorScheme: theme, reducedMotion: 'reduce' })
      for (const view of views) {
        await page.goto(new URL(view, `${url}/console/`).href)
        await page.locator('h1, h2').first().waitFor()
        await page.getByText(/^loading /).waitFor({ state: 'detached' })
        for (const problem of await seriousProblems(page)) found.push(`${theme} ${view}: ${problem}`)
      }
    }
    expect(found).toEqual([])
  })
})
