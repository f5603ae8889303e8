import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { onTestFinished } from 'vitest'

/** A provider over HTTP that is away until it is told otherwise: it refuses what reaches it, half a second later. */
export class OutageServer {
  isAway = true
  /** Answers nobody, as one that hangs. */
  hangs = false
  refused = 0
  answered = 0
  /** Requests that are neither answered nor refused. */
  readonly open = new Set<ServerResponse>()
  /** Most of them at the same time, since the last look. */
  mostAtOnce = 0
  /** Processes whose requests came, the newest last. */
  readonly pids: number[] = []
  url = ''

  async start(): Promise<this> {
    const server = createServer((request, response) => {
      request.resume()
      this.pids.push(Number(request.headers['x-pid']))
      if (!this.isAway) return this.#answer(response)
      this.refused++
      this.open.add(response)
      this.mostAtOnce = Math.max(this.mostAtOnce, this.open.size)
      response.once('close', () => this.open.delete(response))
      if (this.hangs) return
      setTimeout(() => response.writeHead(503, json).end('{"error":{"message":"overloaded"}}'), 500)
    })
    await once(server.listen(0, '127.0.0.1'), 'listening')
    onTestFinished(() => {
      server.closeAllConnections()
      server.close()
    })
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`
    return this
  }

  #answer(response: ServerResponse): void {
    this.answered++
    const chunk = (delta: object, finish_reason: string | null) =>
      `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', created: 0, model: 'm', choices: [{ index: 0, delta, finish_reason }] })}\n\n`
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.end(`${chunk({ role: 'assistant', content: 'Done.' }, null)}${chunk({}, 'stop')}data: [DONE]\n\n`)
  }
}

const json = { 'content-type': 'application/json' }
