import { chromium, type BrowserContextOptions, type Page } from 'playwright-core'
import { onTestFinished } from 'vitest'
import { findBrowser, type Browser } from './browser-find.ts'
import { describeUnless } from './needing.ts'

let found: ReturnType<typeof findBrowser> | undefined

/** Tests in a real browser. Without one they are left out, or fail where brokers are required. */
export async function describeBrowser(name: string, body: () => void): Promise<void> {
  const browser = await (found ??= findBrowser())
  describeUnless('path' in browser ? undefined : browser.reason, name, body)
}

/** A page of a browser of its own, at the size of a phone or a desk. What it throws fails the test. */
export async function openPage(width = 1024, more: BrowserContextOptions = {}): Promise<Page> {
  const { path, env } = (await (found ??= findBrowser())) as Browser
  const args = ['--no-zygote', '--disable-gpu', '--disable-software-rasterizer']
  const browser = await chromium.launch({
    executablePath: path,
    env,
    chromiumSandbox: false,
    args,
  })
  onTestFinished(() => browser.close())
  const context = await browser.newContext({ viewport: { width, height: 720 }, locale: 'en-GB', ...more })
  const page = await context.newPage()
  page.setDefaultTimeout(20_000)
  const errors: string[] = []
  page.on('pageerror', error => errors.push(String(error)))
  onTestFinished(() => {
    if (errors.length > 0) throw new Error(`the page threw: ${errors.join('\n')}`)
  })
  return page
}
