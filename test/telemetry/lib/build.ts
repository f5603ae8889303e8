import { execFile } from 'node:child_process'
import { hash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { mkdtemp, mkdir, rename, rm } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { textOf } from '../../../src/errors.ts'

const source = join(import.meta.dirname, '../collector')
const sources = ['go.mod', 'go.sum', 'main.go'].map(name => readFileSync(join(source, name), 'utf8'))
const [, version = ''] = /otlpreceiver v(\S+)/.exec(sources[0]!) ?? []

export type Collector = { path: string; version: string } | { reason: string }

/** The OpenTelemetry collector for tests, from the cache, else built with Go where that is wanted. */
export async function findCollector(onBuild?: (text: string) => void): Promise<Collector> {
  const cache = process.env.XDG_CACHE_HOME || join(homedir(), '.cache')
  const digest = hash('sha256', sources.join('\0'), 'hex').slice(0, 12)
  const path = join(cache, 'tidings', `otel-collector-${version}-${digest}`, 'collector')
  if (existsSync(path)) return { path, version }
  if (!onBuild) return { reason: 'no OpenTelemetry collector was built yet' }
  onBuild(`building the OpenTelemetry collector ${version} into ${path}, once; it takes about a minute …`)
  try {
    await build(path)
    return { path, version }
  } catch (error) {
    return { reason: `the OpenTelemetry collector could not be built: ${textOf(error).slice(-400)}` }
  }
}

/** The file appears whole or not at all. */
async function build(path: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  const folder = await mkdtemp(join(dirname(path), 'build-'))
  try {
    const env = { ...process.env, CGO_ENABLED: '0', GOOS: '', GOARCH: '', GOFLAGS: '-buildvcs=false' }
    const args = ['build', '-ldflags=-s -w', '-o', join(folder, 'collector'), '.']
    await promisify(execFile)('go', args, { cwd: source, env, timeout: 600_000 })
    await rename(join(folder, 'collector'), path)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
