import type { Page } from 'playwright-core'
import { expect, it } from 'vitest'
import { listKeys, revokeKey } from '../../src/gateway/identity/api-keys.ts'
import { describeBrowser } from '../lib/browser.ts'
import { bearer, everything, keyFor, policyFile } from '../lib/identity.ts'
import { asked } from '../lib/approvals.ts'
import { embeddedWorld } from '../lib/world.ts'
import { shop } from './lib/act-app.ts'
import { openConsole, serveApp } from './lib/console.ts'

/* The console for people who may not do everything, and over networks that fail. */

const roles = { all: everything, guest: { read: ['>'] } }
const options = (page: Page) => page.getByRole('row')

await describeBrowser('a console with rights', () => {
  it('shows a tenant only its own, acts only for those who may, and asks to sign in when a key is revoked', async () => {
    const { running, url } = await serveApp(await embeddedWorld(), shop, { policy: await policyFile({ roles }) })
    const { bus } = running
    const [acme, globex] = [await keyFor(bus, 'ann', 'all', 'acme'), await keyFor(bus, 'gus', 'all', 'globex')]
    const guest = await keyFor(bus, 'eve', 'guest', 'acme')
    const publish = async (key: string, type: string, data: object) => {
      const response = await fetch(`${url}/events`, {
          method: 'POST', headers: { ...bearer(key), 'content-type': 'application/json' }, body: JSON.stringify({ type, data }),
        }) // biome-ignore format: one request
      return (await response.json()) as { ids: string[]; correlationid: string }
    }
    const { ids, correlationid } = await publish(acme, 'order.complained', {
      order: 'Z-1',
      amount: 20,
      text: 'secret of acme',
    })
    await publish(acme, 'acme.only', { text: 'secret of acme' })
    const id = ids[0]!
    const [request] = await asked(bus, correlationid)
    const task = request!.id.split(':')[0]!

    // Another tenant: empty lists, no count, and ids that name nothing.
    const page = await openConsole(url, { path: 'live', key: globex })
    await page.getByText('gus · globex').waitFor()
    await page.getByText('The log is empty').waitFor()
    await publish(acme, 'acme.only', { text: 'secret of acme' })
    await publish(globex, 'globex.only', { text: 'globex' })
    await page.getByRole('row', { name: 'globex.only' }).waitFor()
    expect(await options(page).count()).toBe(1)
    expect(await page.getByLabel(/^\d+ waiting$/).count()).toBe(0)
    expect(await page.content()).not.toContain('acme')
    const nothing = {
        traces: 'globex.only', tasks: 'No task has run yet', inbox: 'Nothing waits for you', attention: 'Nothing needs a person', operations: 'Nobody has given a command yet',
      } // biome-ignore format: a table
    for (const [path, text] of Object.entries(nothing)) {
      await page.goto(`${url}/console/${path}`)
      await page.getByText(text).first().waitFor()
      expect(await page.locator('body').innerText()).not.toMatch(/acme|Z-1/)
    }
    for (const path of [
      `find/${task.slice(-12)}`,
      `find/${id.slice(-12)}`,
      `find/${id}`,
      `tasks/${task}`,
      `live?open=${id}`,
    ]) {
      await page.goto(`${url}/console/${path}`)
      await page.getByRole('alert').first().waitFor()
      expect(await page.locator('body').innerText(), path).not.toContain('secret of acme')
    }
    await page.goto(`${url}/console/traces/${correlationid}`)
    await page
      .getByText(/nothing|no event/i)
      .first()
      .waitFor()
    await page.goto(`${url}/console/inbox?at=${encodeURIComponent(request!.id)}`)
    await page.getByText('Nothing waits for you').waitFor()

    // Somebody who only reads.
    const reader = await openConsole(url, { path: 'live', key: guest })
    await reader.getByText('eve · acme').waitFor()
    await reader.getByRole('row', { name: 'acme.only' }).first().waitFor()
    const acts = /^(Publish|Approve|Deny|Cancel|Retry|Discard|Fork|Replay|Pause|Resume|Redrive)/
    const readable = {
        live: 'acme.only', traces: 'order.complained', [`traces/${correlationid}`]: 'clerk', tasks: 'clerk', [`tasks/${task}`]: 'waits for approval',
        [`tasks/${task}?tab=turns`]: 'order.complained', [`inbox?at=${encodeURIComponent(request!.id)}`]: '"eve" may not approve', workflows: 'No app on this log',
      } // biome-ignore format: a table
    for (const [path, text] of Object.entries(readable)) {
      await reader.goto(`${url}/console/${path}`)
      await reader.getByText('eve · acme').waitFor()
      await reader.getByText(text).first().waitFor()
      expect(await reader.getByRole('button', { name: acts }).allInnerTexts(), path).toEqual([])
    }
    for (const path of ['attention', 'operations', 'health']) {
      await reader.goto(`${url}/console/${path}`)
      await reader.getByText('"eve" may not operate').first().waitFor()
    }

    // Each view notices that a key is revoked, without a reload.
    await reader.goto(`${url}/console/live`)
    await options(reader).first().waitFor()
    await revokeKey(bus, (await listKeys(bus)).find(({ name }) => name === 'eve')!.id)
    await reader.getByRole('heading', { name: 'Sign in to Tidings' }).waitFor()
    await reader.getByText('It may have been revoked').waitFor()
  })
})
