import { expect, it } from 'vitest'
import { openaiServer } from '../../src/testing/openai-server.ts'
import { describeBrowser } from '../lib/browser.ts'
import { GatewayProcess } from '../lib/gateway-process.ts'
import { embeddedWorld } from '../lib/world.ts'
import { modelTapped, post } from '../taps/lib/model-tapped.ts'
import { openConsole } from './lib/console.ts'

await describeBrowser('calls that passed a tap', () => {
  it('have the name of the model in lists, and a mark if they failed', async () => {
    const world = await embeddedWorld()
    await using server = await openaiServer({ text: 'Open until six.' }, { status: 500 })
    const { url, calls } = await modelTapped(world, server.url)
    for (const content of ['When is the aquarium open?', 'Where is the walrus?'])
      await (await post(`${url}/v1/chat/completions`, { model: 'any-1', messages: [{ role: 'user', content }] })).text()
    await calls(2)
    const gateway = await GatewayProcess.open(world.place)
    const page = await openConsole(gateway.url, { path: 'traces' })
    const failed = page.getByRole('row', { name: 'Where is the walrus?' })
    await failed.waitFor()
    expect(await failed.innerText()).toMatch(/→ any-1[^]*1 failed call/)
    const good = await page.getByRole('row', { name: 'When is the aquarium open?' }).innerText()
    expect(good).toContain('→ any-1')
    expect(good).not.toContain('failed')
    await page.goto(`${gateway.url}/console/live`)
    const live = page.getByRole('row', { name: 'Where is the walrus?' })
    await live.first().waitFor()
    expect(await live.first().innerText()).toContain('→ any-1')
  })
})
