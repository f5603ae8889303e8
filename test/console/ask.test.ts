import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { Library } from '../../examples/report-desk/library/library.ts'
import { members } from '../../examples/report-desk/members.ts'
import { writeSample } from '../../examples/report-desk/sample.ts'
import { offlineModel } from '../../src/index.ts'
import { describeBrowser } from '../lib/browser.ts'
import { GatewayProcess } from '../lib/gateway-process.ts'
import { onAnyBus } from '../lib/world.ts'
import { expectAccessible } from './lib/accessible.ts'
import { openConsole } from './lib/console.ts'

/* What an end user of the report desk sees, in a real browser. */

await describeBrowser('ask', () =>
  onAnyBus(world => {
    it('shows a question, its progress, the approval and the report, over reloads and a kill of the server', async () => {
      const log = await world()
      const { home } = log.place
      writeSample(join(home, 'docs'))
      const library = new Library(join(home, 'library.sqlite'))
      await library.refresh(join(home, 'docs'))
      onTestFinished(() => library.close())
      const { use } = members(library, join(home, 'reports'), offlineModel())
      await log.worker({ name: 'desk', use })
      const gateway = await GatewayProcess.open(log.place)
      const page = await openConsole(gateway.url, { path: `ask${new URL(gateway.console).hash}` })
      await page.getByRole('heading', { name: 'What would you like to know?' }).waitFor()
      await page.getByLabel('Your question').fill('How often does the lamp of the lighthouse turn?')
      await page.keyboard.press('Enter')
      await page.getByText('Received').waitFor()

      const approval = page.getByRole('region', { name: 'Approval' })
      const sentence = 'The lamp of the lighthouse turns once in thirty seconds.'
      await approval.getByText(sentence).first().waitFor()
      await expectAccessible(page)
      await page.reload()
      await approval.getByText(sentence).first().waitFor()
      await page.getByRole('button', { name: 'Waiting for the approval of the editor' }).click()
      expect(await page.getByRole('region', { name: 'Progress' }).innerText()).toMatch(
        /Planner[^]*Section[^]*Writer[^]*Reviewer/,
      )

      // The server is killed in the middle, and another one takes its place.
      await gateway.kill()
      await page.getByText('The gateway does not answer.').waitFor()
      await gateway.start()
      await approval.getByRole('button', { name: 'Approve' }).click()
      const report = page.getByRole('region', { name: 'Answer' })
      await report.getByText('Every sentence above stands word for word').waitFor()
      await page.getByText('Done').waitFor()
      await report.getByRole('region', { name: 'Sources' }).getByRole('button').first().click()
      await expectAccessible(page)
      expect(await report.innerText()).toContain('Approved by console/')
      const passage = page.getByRole('dialog')
      await passage.locator('mark').first().waitFor()
      expect(await passage.locator('pre').innerText()).toContain('It burns paraffin')
      await page.keyboard.press('Escape')
      await page.getByRole('button', { name: 'Ask another question' }).click()
      await page.getByRole('region', { name: 'Earlier questions' }).getByText('How often does the lamp').waitFor()
    })
  }),
)
