import { setTimeout as pause } from 'node:timers/promises'
import { onTestFinished } from 'vitest'
import type { Bus } from '../../../src/bus/bus.ts'
import type { CloudEvent } from '../../../src/event.ts'
import { openBus } from '../../../src/runtime/environment.ts'
import { HttpTap, type HttpTapOptions } from '../../../src/taps/http/http-tap.ts'
import { McpTap } from '../../../src/taps/mcp/mcp-tap.ts'
import { startTapProxy, type ProxyOptions } from '../../../src/taps/proxy.ts'
import { Recorder, type RecorderOptions } from '../../../src/taps/recorder.ts'
import { upstreamOf } from '../../../src/taps/upstream.ts'
import { until } from '../../../src/testing/wait.ts'
import type { World } from '../../lib/world.ts'

/** A log, a recorder on it, and what it recorded. */
export async function recording({ place }: World, options: Pick<RecorderOptions, 'maxCalls'> = {}) {
  const bus = await openBus(place)
  const recorder = new Recorder({ name: 'test', open: async () => bus, ...options })
  await recorder.start()
  onTestFinished(async () => {
    await recorder.stop()
    await bus.close()
  })
  return { bus, recorder, recorded: (types: RegExp, count: number) => recordedBy(bus, '/taps/test', types, count) }
}

/** The events of a tap, once there are as many as expected, with their data. */
export function recordedBy(bus: Bus, source: string, types: RegExp, count: number): Promise<CloudEvent[]> {
  return until(
    async () => {
      const events: CloudEvent[] = []
      for await (const { event } of bus.read({}))
        if (types.test(event.type) && event.source === source) events.push(await bus.resolve(event))
      return events.length >= count && events
    },
    { what: `${count} events of ${types}` },
  )
}

/** A reverse proxy with an MCP tap. */
export async function mcpTapped(world: World, upstream: string) {
  const parts = await recording(world)
  const tap = new McpTap(parts.recorder)
  return { ...parts, tap, url: (await proxyOf(tap, upstream)).url }
}

/** A reverse proxy with an HTTP tap. */
export async function httpTapped(world: World, upstream: string, options: HttpTapOptions) {
  const parts = await recording(world)
  const tap = new HttpTap(parts.recorder, options)
  return { ...parts, tap, url: (await proxyOf(tap, upstream)).url }
}

/** A reverse proxy with a tap. It stops when the test ends. */
export async function proxyOf(tap: Pick<ProxyOptions, 'observe' | 'status'>, upstream: string) {
  const proxy = await startTapProxy({
    upstream: upstreamOf(upstream),
    port: 0,
    observe: incoming => tap.observe(incoming),
    ...(tap.status && { status: tap.status }),
  })
  onTestFinished(() => proxy.stop(AbortSignal.abort()))
  return proxy
}

/** From now on each publish takes 10 ms longer; the types of what was published, in order. */
export function slowPublishes(bus: Bus): string[] {
  const publish = bus.publish.bind(bus)
  const published: string[] = []
  bus.publish = async draft => {
    await pause(10)
    const stored = await publish(draft)
    published.push(draft.type)
    return stored
  }
  return published
}
