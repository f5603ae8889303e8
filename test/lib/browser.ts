import { chromium, type Browser as OpenBrowser, type BrowserContextOptions, type Page } from 'playwright-core'
import { afterAll, onTestFinished } from 'vitest'
import { findBrowser, type Browser } from './browser-find.ts'
import { describeUnless } from './needing.ts'

let found: ReturnType<typeof findBrowser> | undefined
let launched: Promise<OpenBrowser> | undefined

/** Tests in a real browser. Without one they are left out, or fail where brokers are required. */
export async function describeBrowser(name: string, body: () => void): Promise<void> {
  const browser = await (found ??= findBrowser())
  describeUnless('path' in browser ? undefined : browser.reason, name, () => {
    afterAll(async () => {
      const closing = launched
      launched = undefined
      await (await closing)?.close()
    })
    body()
  })
}

/** The browser of a test file: to launch one takes longer than most tests. */
async function openBrowser(): Promise<OpenBrowser> {
  const { path, env } = (await (found ??= findBrowser())) as Browser
  const args = ['--no-zygote', '--disable-gpu', '--disable-software-rasterizer']
  return chromium.launch({ executablePath: path, env, chromiumSandbox: false, args })
}

/** A page with a profile of its own, at the size of a phone or a desk. What it throws fails the test. */
export async function openPage(width = 1024, more: BrowserContextOptions = {}): Promise<Page> {
  const browser = await (launched ??= openBrowser())
  const context = await browser.newContext({ viewport: { width, height: 720 }, locale: 'en-GB', ...more })
  onTestFinished(() => context.close())
  const page = await context.newPage()
  page.setDefaultTimeout(20_000)
  const errors: string[] = []
  page.on('pageerror', error => errors.push(String(error)))
  onTestFinished(() => {
    if (errors.length > 0) throw new Error(`the page threw: ${errors.join('\n')}`)
  })
  return page
}
