import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished } from 'vitest'
import type { Driver } from '../../../src/bus/driver.ts'
import { openNats, type NatsDriverOptions as OpenOptions } from '../../../src/drivers/nats/index.ts'
import { createEvent, type Draft } from '../../../src/event.ts'
import type { Health } from '../../../src/gateway/health.ts'
import { app, type AppOptions } from '../../../src/runtime/app.ts'
import { start, type RunningApp, type StartOptions } from '../../../src/runtime/start.ts'
import { startNats, type Nats, type NatsOptions } from '../../../src/testing/nats/start.ts'
import { freePort } from '../../../src/testing/ports.ts'
import { startProxy } from '../../../src/testing/tcp-proxy.ts'
import { until } from '../../../src/testing/wait.ts'

/* A server of a test's own, and what uses it. All of it is gone after the test. */

export async function server(options: NatsOptions = {}): Promise<Nats> {
  const nats = await startNats(options)
  onTestFinished(() => nats.stop())
  return nats
}

/** A server behind a wire that can be cut and that can hold everything back. */
export async function wire() {
  const { url, port } = await server()
  const proxy = await startProxy({ port })
  onTestFinished(() => proxy.stop())
  return { direct: url, proxy, url: `nats://127.0.0.1:${proxy.port}` }
}

/** A data folder that outlives its server, so that another with other settings may take it over. */
export async function dataFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'tidings-nats-kept-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  return folder
}

/** A log with few shards and short patience. */
export async function open(url: string, options: Partial<OpenOptions> = {}): Promise<Driver> {
  const driver = await openNats({ url: `${url}/log?timeout=2000`, shards: 4, leaseMs: 2_000, ...options })
  onTestFinished(() => driver.close())
  return driver
}

export interface Worker extends RunningApp {
  /** Answers of `/health`. */
  health(): Promise<{ status: number; body: Health & { error: { code: string; message: string } } }>
}

/** An app as `tidings run` hosts it, with its gateway. */
export async function worker(url: string, use: AppOptions['use'], more: StartOptions = {}): Promise<Worker> {
  const port = more.port ?? (await freePort())
  const running = await start(app({ name: 'test', use }), {
    bus: `${url}/log?timeout=2000`,
    port,
    only: ['agents', 'tools', 'models', 'gateway'],
    ...more,
  })
  onTestFinished(() => running.stop())
  return { ...running, health: () => healthOf(port) }
}

export async function healthOf(port: number) {
  const answer = await fetch(`http://127.0.0.1:${port}/health`)
  return { status: answer.status, body: (await answer.json()) as Awaited<ReturnType<Worker['health']>>['body'] }
}

export const isUp = ({ health }: Worker) => until(async () => (await health()).status === 200, { within: 20_000 })

export function entry(draft: Partial<Draft> = {}) {
  const event = createEvent({ type: 'job.made', data: null, ...draft })
  return { event, json: JSON.stringify(event) }
}

const idsOf = async (driver: Driver) => (await Array.fromAsync(driver.read({}))).map(({ event }) => event.id)

/** Each of these is on the log, and none is there twice. */
export async function expectStored(driver: Driver, ids: readonly string[]): Promise<void> {
  const stored = await idsOf(driver)
  expect(new Set(stored).size).toBe(stored.length)
  expect(ids.filter(id => !stored.includes(id))).toEqual([])
}
