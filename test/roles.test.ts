import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test, vi } from 'vitest'
import { until } from '../src/testing/wait.ts'
import { launch } from './lib/cli.ts'

const app = join(import.meta.dirname, '../examples/first/app.ts')

test.each<[string[], string[], RegExp[]]>([
  [
    ['--only', 'models,tools'],
    ['tools', 'models'],
    [/runs as tools, models: \d tools?, \d models?\n {2}other workers must run: \d agents?, the gateway/],
  ],
  [[], ['agents', 'tools', 'models', 'gateway', 'triggers'], [/ runs: \d agents?, \d tools?, \d models?, the gateway/]],
])('run %j says what this worker runs, and what is left to others', async (only, roles, texts) => {
  vi.stubEnv('TIDINGS_PORT', '0')
  vi.stubEnv('TIDINGS_SMTP_PORT', '0')
  const home = await mkdtemp(join(tmpdir(), 'tidings-roles-'))
  onTestFinished(async () => {
    vi.unstubAllEnvs()
    await rm(home, { recursive: true, force: true })
  })
  for (const json of [true, false]) {
    const child = launch({ home, bus: 'sqlite' }, ['run', app, ...only, ...(json ? ['--json'] : [])])
    let out = ''
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => (out += chunk))
    await until(() => out.includes(json ? '"ready"' : 'survives'), { within: 20_000 })
    child.kill('SIGINT')
    await once(child, 'exit')
    if (json) expect(JSON.parse(out.split('\n')[0]!)).toMatchObject({ event: 'ready', roles })
    else for (const text of texts) expect(out).toMatch(text)
  }
})
