import { WebSocket } from 'ws'
import { StreamParts, type StreamPart } from '../../src/ask/parts.ts'
import type { CloudEvent } from '../../src/event.ts'
import type { StreamMessage } from './pulled-stream.ts'

/** A client of `GET /events/stream` that reconnects where it was, to any gateway, and folds what it gets into what a user sees. */
export class StreamedClient {
  readonly parts: StreamPart[] = []
  /** Deltas as they came. */
  readonly deltas: CloudEvent[] = []
  readonly #fold = new StreamParts()
  #lastId: string | undefined

  /** Resolves when the connection is over. */
  async read(get: (headers: Record<string, string>) => Promise<Response>): Promise<void> {
    const response = await get(this.#lastId === undefined ? {} : { 'last-event-id': this.#lastId })
    let rest = ''
    try {
      for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
        const blocks = (rest + chunk).split('\n\n')
        rest = blocks.pop()!
        for (const block of blocks) this.#take(block)
      }
    } catch {
      // The gateway is gone.
    }
  }

  /** What a user sees of a kind: the pieces since the last restart. */
  shown(kind: 'text' | 'reasoning'): string {
    return shownOf(this.parts, kind)
  }

  #take(block: string) {
    const field = (name: string) => new RegExp(`^${name}: (.*)$`, 'm').exec(block)?.[1]
    this.#lastId = field('id') ?? this.#lastId
    const data = field('data')
    if (data === undefined) return
    const event = JSON.parse(data) as CloudEvent
    if (event.type === 'model.delta') this.deltas.push(event)
    const isSignal = field('event') === 'signal'
    this.parts.push(...(isSignal ? this.#fold.ofSignal(event) : this.#fold.ofEvent(event)))
  }
}

export function shownOf(parts: readonly StreamPart[], kind: 'text' | 'reasoning'): string {
  const last = parts.findLastIndex(part => part.type === 'restart' && part.kind === kind)
  const pieces = parts.slice(last + 1).map(part => (part.type === kind ? part.text : ''))
  return pieces.join('')
}

/** The gateway answered instead of opening the stream, or ended it with an error. */
export class StreamRefused extends Error {
  readonly status: number

  constructor(status: number, text: string) {
    super(`the stream was refused: ${status} ${text}`)
    this.status = status
  }
}

/** Reads a part of a stream until `take` has enough, or until the connection ends. @throws StreamRefused */
export type ReadStream = (
  url: string,
  query: string,
  take: (cursor: string, event: CloudEvent | undefined) => boolean,
  headers?: Record<string, string>,
) => Promise<void>

export const readSse: ReadStream = async (url, query, take, headers = {}) => {
  const abort = new AbortController()
  const response = await fetch(`${url}/events/stream?${query}`, { signal: abort.signal, headers })
  if (!response.ok) throw new StreamRefused(response.status, await response.text())
  let rest = ''
  try {
    for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
      const blocks = (rest + chunk).split('\n\n')
      rest = blocks.pop()!
      for (const block of blocks) {
        const [, id] = /^id: (.*)$/m.exec(block) ?? []
        const [, data] = /^data: (.*)$/m.exec(block) ?? []
        if (block.startsWith('event: error\n')) throw new StreamRefused(200, data!)
        if (id !== undefined && take(id, data === undefined ? undefined : JSON.parse(data))) return
      }
    }
  } finally {
    abort.abort()
  }
}

export const readSocket: ReadStream = (url, query, take, headers = {}) => {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const socket = new WebSocket(`${url.replace('http', 'ws')}/events/socket?${query}`, { headers })
  let isOver = false
  socket.on('message', data => {
    const { cursor, event, error } = JSON.parse((data as Buffer).toString()) as StreamMessage & { error?: unknown }
    if (error !== undefined) reject(new StreamRefused(101, JSON.stringify(error)))
    if (isOver || cursor === undefined || !take(cursor, event)) return
    isOver = true
    socket.terminate()
  })
  socket.on('unexpected-response', (_, { statusCode = 0, statusMessage = '' }) => {
    reject(new StreamRefused(statusCode, statusMessage))
    socket.terminate()
  })
  socket.on('close', resolve)
  socket.on('error', () => {})
  return promise
}
