import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { gzipSync } from 'node:zlib'
import { build, type Rolldown } from 'vite'
import { expect, it, onTestFinished } from 'vitest'
import { agent } from '../../src/agents/agent.ts'
import { onEveryBus } from '../lib/world.ts'

/* The client as it is bundled for browsers: its size, and that it needs nothing but fetch, streams and crypto. */

const root = join(import.meta.dirname, '../..')
const maxBytes = 5_000

async function bundled(): Promise<Rolldown.OutputChunk> {
  const lib = { entry: join(root, 'src/client/index.ts'), formats: ['es' as const], fileName: 'client' }
  const built = await build({ configFile: false, logLevel: 'error', root, build: { write: false, minify: true, lib } })
  const [{ output }] = built as Rolldown.RolldownOutput[] as [Rolldown.RolldownOutput]
  expect(output).toHaveLength(1)
  return output[0]
}

it('the client has no dependency and less than 5 kB', async () => {
  const { code, imports, dynamicImports } = await bundled()
  expect([...imports, ...dynamicImports]).toEqual([])
  expect(code).not.toMatch(/\b(?:process|Buffer|require|node:)\b/)
  expect(gzipSync(code).length).toBeLessThan(maxBytes)
})

const program = `
const { createClient } = await import('./client.js')
const [url] = globalThis.Deno?.args ?? process.argv.slice(-1)
const client = createClient({ url })
const task = await client.ask('doubler', 21)
const types = []
for await (const part of task.stream()) types.push(part.type)
await client.publish('count.made', 1, { id: 'count-' + (globalThis.Deno ? 'deno' : globalThis.Bun ? 'bun' : 'node') })
for await (const { event } of client.stream({ type: 'count.made', after: '0' })) {
  console.log(JSON.stringify([await task.result(), event.data]))
  break
}
client.close()
`

const runtimes = [[process.execPath], ['deno', 'run', '--allow-net', '--no-prompt'], ['bun', 'run']] as const

onEveryBus(world => {
  it('the bundle runs in Node, and in Deno and Bun where they are installed', async () => {
    const double = agent('doubler', { run: (_, n: number) => n * 2 })
    const running = await (await world()).worker({ use: [double] }, { only: ['agents', 'gateway'], port: 0 })
    const folder = await mkdtemp(join(tmpdir(), 'tidings-bundle-'))
    onTestFinished(() => rm(folder, { recursive: true }))
    await writeFile(join(folder, 'client.js'), (await bundled()).code)
    await writeFile(join(folder, 'package.json'), '{ "type": "module" }')
    await writeFile(join(folder, 'program.js'), program)
    for (const [command, ...before] of runtimes) {
      const ended = promisify(execFile)(command, [...before, join(folder, 'program.js'), running.addresses[0]!])
      const output = await ended.then(
        ({ stdout }) => stdout.trim(),
        error => {
          if (error.code !== 'ENOENT') throw error
          console.log(`the client was not run in ${command}: it is not installed`)
          return '[42,1]'
        },
      )
      expect(output).toBe('[42,1]')
    }
  })
})
