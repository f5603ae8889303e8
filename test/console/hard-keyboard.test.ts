import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { expect, it, onTestFinished } from 'vitest'
import { agent, app, approval } from '../../src/index.ts'
import { until } from '../../src/testing/wait.ts'
import { asked } from '../lib/approvals.ts'
import { describeBrowser } from '../lib/browser.ts'
import { describeNatsServer } from '../lib/nats.ts'
import { guarded, role, violations } from '../nats/lib/guarded.ts'
import { openConsole } from './lib/console.ts'

const editor = approval<object>('letter.send')
const press = agent('press', { on: 'letter.written', run: (ctx, letter: object) => ctx.call(editor, letter) })

/* The console without a mouse, of a gateway that has only the permissions of the template. */

/** The frame of a field shows its focus, and the active row that of its list. */
const focusIsVisible = (page: Page) =>
  page.evaluate<boolean>(`(element => {
    const { outlineStyle, boxShadow } = getComputedStyle(element)
    return element.matches('input, select, :has([data-active])') || outlineStyle !== 'none' || boxShadow !== 'none'
  })(document.activeElement)`)

await describeBrowser('a person without a mouse', () =>
  describeNatsServer('with the permissions of the template', () => {
    it('reaches every view, opens an event, and approves', async () => {
      const home = await mkdtemp(join(tmpdir(), 'tidings-console-'))
      onTestFinished(() => rm(home, { recursive: true, force: true }))
      const nats = await guarded()
      const hosted = app({ name: 'press', use: [press] })
      const agents = await role(nats, 'agents', hosted, { home })
      const gateway = await role(nats, 'gateway', hosted, { home, port: 0 })
      const { correlationid } = await agents.bus.publish({ type: 'letter.written', data: { to: 'A1' } })
      await asked(agents.bus, correlationid)
      const { origin, hash } = new URL(gateway.console!)
      const page = await openConsole(origin, { path: `live${hash}` })
      await page.getByRole('row', { name: 'letter.written' }).first().waitFor()

      const tabTo = async (name: string) => {
        for (let i = 0; i < 40; i++) {
          await page.keyboard.press('Tab')
          const label = await page.evaluate<string>(`document.activeElement.getAttribute('aria-label') ?? ''`)
          expect(
            await focusIsVisible(page),
            await page.evaluate<string>('document.activeElement.outerHTML.slice(0,300)'),
          ).toBe(true)
          if (label.startsWith(name)) return
        }
        throw new Error(`${name} cannot be reached`)
      }
      await tabTo('Events, newest last')
      await page.keyboard.press('j')
      await page.keyboard.press('Enter')
      await page.getByRole('tree', { name: 'Payload' }).getByText('A1').waitFor()

      const palette = page.getByRole('combobox', { name: 'Go to a view, name or id' })
      const goTo = async (name: string) => {
        await page.keyboard.press('Control+k')
        await palette.waitFor()
        await page.keyboard.type(name)
        await page.keyboard.press('Enter')
        await palette.waitFor({ state: 'detached' })
      }
      for (const name of ['Traces', 'Tasks', 'Workflows', 'Inbox', 'Attention', 'Health', 'Operations']) {
        await goTo(name)
        await page.getByRole('heading', { name, exact: true, level: 1 }).waitFor()
        expect(await page.getByRole('alert').allInnerTexts(), name).toEqual([])
      }
      await goTo(correlationid)
      await page.getByRole('row').filter({ hasText: 'letter.send' }).first().waitFor()
      await goTo('press')
      await page.getByRole('row').filter({ hasText: 'press' }).first().waitFor()

      await goTo('Inbox')
      await page.getByRole('row', { name: 'letter.send' }).waitFor()
      await tabTo('Requests')
      await page.keyboard.press('j')
      await page.keyboard.press('a')
      const dialog = page.getByRole('dialog', { name: 'Approve letter.send' })
      await dialog.waitFor()
      await page.keyboard.press('Escape')
      await dialog.waitFor({ state: 'detached' })
      // The focus is back where it was.
      const focused = () => page.evaluate<string>(`document.activeElement.getAttribute('aria-label') ?? ''`)
      await until(async () => (await focused()).startsWith('Requests'), { within: 5_000 })
      await page.keyboard.press('a')
      await dialog.waitFor()
      await page.keyboard.press('Enter')
      await page.getByText('Nothing waits for you').waitFor()
      const refused = (await violations(nats)).filter(line => /user:gateway/.test(line))
      expect(refused.filter(line => !/CONSUMER\.DELETE/.test(line))).toEqual([])
    })
  }),
)
