import { onTestFinished } from 'vitest'
import type { CloudEvent } from '../../../src/event.ts'
import { ModelTap, type ModelTapOptions } from '../../../src/taps/model/model-tap.ts'
import type { ModelResult } from '../../../src/tasks/conversation.ts'
import type { TappedModelRequest } from '../../../src/tasks/tapped-model.ts'
import type { World } from '../../lib/world.ts'
import { proxyOf, recording } from './tapped.ts'

/** A reverse proxy with a model tap. `calls`: the recorded calls, once as many have ended. */
export async function modelTapped(world: World, upstream: string, options: ModelTapOptions = {}) {
  const parts = await recording(world)
  const tap = new ModelTap(parts.recorder, options)
  onTestFinished(() => tap.stop())
  const proxy = await proxyOf(tap, upstream)
  const calls = async (count: number) => callsIn(await parts.recorded(/^model\./, 2 * count))
  return { ...parts, proxy, url: proxy.url, calls }
}

/** A recorded call with its answer. */
export interface TappedCall {
  readonly request: CloudEvent<TappedModelRequest>
  readonly answer: CloudEvent<ModelResult & { error: { code: string; message: string }; partial?: ModelResult }>
}

/** The requests that have an answer, with it. */
export const callsIn = (events: readonly CloudEvent[]) =>
  events.flatMap(request => {
    const answer = events.find(({ call }) => call === request.id)
    return answer ? [{ request, answer } as unknown as TappedCall] : []
  })

/** Sends JSON, or a text as it is. */
export const post = (url: string, body: unknown, headers: Record<string, string> = {}) =>
  fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  })
