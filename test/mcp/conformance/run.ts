import { glob, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createServer, request } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { start } from '../../../src/runtime/start.ts'
import app from './app.ts'
import { runSuite, type Revision } from './suite.ts'

/** Scenarios by how they ended, and what the suite printed. */
export interface ConformanceRun {
  readonly passed: readonly string[]
  /** Expected, because an app offers nothing of the kind. */
  readonly notApplicable: readonly string[]
  /** Whether nothing else failed, and nothing that is expected to fail passed. */
  readonly isAsExpected: boolean
  /** Of the checks in all of these. */
  readonly checks: { readonly passed: number; readonly notApplicable: number }
  readonly output: string
}

/** Runs the MCP conformance suite for servers against an app. `args`: which scenarios. */
export async function runConformance(revision: Revision, args: readonly string[]): Promise<ConformanceRun> {
  const home = await mkdtemp(join(tmpdir(), 'tidings-conformance-'))
  const running = await start(app, { home, bus: 'sqlite', port: 0 })
  const proxy = await withKey(new URL(running.addresses[0]!), running.console!.split('#key=')[1]!)
  try {
    const url = `http://localhost:${(proxy.address() as AddressInfo).port}/mcp`
    const expected = join(import.meta.dirname, `expected-${revision}.yml`)
    const results = join(home, 'results')
    const given = ['server', '--url', url, ...args, '--expected-failures', expected, '--output-dir', results]
    const { code, output } = await runSuite([...given, '--timeout', '120000'], home)
    const stateless = await statelessFailures(results)
    const ended = [...output.matchAll(/^([✓✗]) ([\w./-]+): \d+ passed/gmu)]
    const named = (sign: string) => ended.flatMap(([, found, name]) => (found === sign ? [name!] : []))
    const [, passed = 0, failed = 0] = /^Total: (\d+) passed, (\d+) failed/m.exec(output) ?? []
    const checks = { passed: Number(passed), notApplicable: Number(failed) }
    const isAsExpected = code === 0 && stateless.every(id => sampling.has(id))
    return {
      checks,
      passed: named('✓'),
      notApplicable: named('✗'),
      isAsExpected,
      output: `${output}\n${stateless.join('\n')}`,
    }
  } finally {
    proxy.closeAllConnections()
    proxy.close()
    await running.stop()
    await rm(home, { recursive: true, force: true })
  }
}

/** What "server-stateless" asks of a server that uses the model of its client. The scenario is expected to fail, and its other checks are here. */
const sampling: ReadonlySet<string> = new Set([
  'sep-2575-server-rejects-undeclared-capability',
  'sep-2575-missing-capability-http-400',
])
/** The suite waits half a second for the first message of a stream, which a busy machine does not always send by then. */
const isTooLate = (message: string) => /^failed to (?:receive|open)|failed to (?:yield|return)/i.test(message)

async function statelessFailures(results: string): Promise<string[]> {
  const files = await Array.fromAsync(glob(join(results, '*server-stateless-*/checks.json')))
  const checks = await Promise.all(files.map(async file => JSON.parse(await readFile(file, 'utf8')) as Check[]))
  return checks.flat().flatMap(({ id, status, errorMessage = '' }) => (status === 'FAILURE' && !isTooLate(errorMessage) ? [id] : [])) // biome-ignore format: one line
}

interface Check {
  readonly id: string
  readonly status: string
  readonly errorMessage?: string
}

/** The suite sends no credential, and only a person with a name may answer forms. */
async function withKey({ hostname, port }: URL, key: string) {
  const server = createServer((incoming, response) => {
    const { method, url: path, headers } = incoming
    const options = { hostname, port, method, path, headers: { ...headers, authorization: `Bearer ${key}` } }
    const outgoing = request(options, answer => {
      response.writeHead(answer.statusCode!, answer.headers)
      answer.pipe(response)
    })
    outgoing.on('error', () => response.destroy())
    response.on('close', () => outgoing.destroy())
    incoming.pipe(outgoing)
  })
  await once(server.listen(0, 'localhost'), 'listening')
  return server
}
