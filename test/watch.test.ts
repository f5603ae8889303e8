import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { until } from '../src/testing/wait.ts'

test('node --watch, whose messages come from the same threads, disturbs neither the embedded log nor blocking tools', async () => {
  const home = await mkdtemp(join(tmpdir(), 'tidings-watch-'))
  const child = spawn(process.execPath, ['--watch', join(import.meta.dirname, 'lib/watched-main.ts')], {
    env: { ...process.env, TIDINGS_HOME: home, TIDINGS_BUS: 'sqlite', NO_COLOR: '1', FORCE_COLOR: undefined },
  })
  onTestFinished(async () => {
    child.kill('SIGKILL')
    await once(child, 'exit').catch(() => {})
    await rm(home, { recursive: true, force: true, maxRetries: 20 })
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', data => (output += data))
  await until(() => /output: 'blocked'|Failed running/.test(output))
  expect(output).toContain(`output: 'blocked'`)
})
