import type { BrowserContextOptions, Page } from 'playwright-core'
import { onTestFinished } from 'vitest'
import type { AppOptions } from '../../../src/runtime/app.ts'
import type { RunningApp, StartOptions } from '../../../src/runtime/start.ts'
import { openPage } from '../../lib/browser.ts'
import type { World } from '../../lib/world.ts'

/** Starts an app with its gateway on a free port. */
export async function serveApp(
  world: World,
  options: AppOptions,
  more: StartOptions = {},
): Promise<{ running: RunningApp; url: string }> {
  const running = await world.worker(options, { only: ['agents', 'tools', 'models', 'gateway'], port: 0, ...more })
  const url = running.addresses.find(address => address.startsWith('http'))!
  return { running, url }
}

interface View {
  /** Of the view and its state, such as `live?failed=1`. */
  readonly path: string
  readonly width?: number
  readonly theme?: 'dark' | 'light'
  /** An API key, with which the person has signed in. */
  readonly key?: string
  /** Of the browser, such as its time zone. */
  readonly browser?: BrowserContextOptions
}

/** Opens the console in a browser. What a page throws or logs as an error fails the test. */
export async function openConsole(
  url: string,
  { path, width = 1440, theme = 'dark', key, browser = {} }: View,
): Promise<Page> {
  const page = await openPage(width, { colorScheme: theme, ...browser })
  const problems: string[] = []
  page.on('console', message => {
    if (message.type() === 'error' && !/net::ERR_|Failed to load resource|WebSocket connection to/.test(message.text()))
      problems.push(message.text())
  })
  onTestFinished(() => {
    if (problems.length > 0) throw new Error(`the console logged: ${problems.join('\n')}`)
  })
  if (key !== undefined)
    await page.context().addInitScript(text => sessionStorage.setItem('tidings.credential', text), key)
  await page.goto(`${url}/console/${path}`)
  return page
}
