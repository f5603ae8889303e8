import type { ServerResponse } from 'node:http'
import { once } from 'node:events'
import { listen } from './http.ts'
import type { ModelQuery, ModelReply } from './task.ts'
import { needed, serves } from './child.ts'

/*
 * A model server as a process: so many requests at once, each as long as a log-normal variate. Others wait in a bounded queue; when it is full the
 * server answers 429. A caller that disconnects frees its slot at once, and has paid.
 */

const medianMs = 300
const sigma = 0.4

export interface ModelCounts {
  started: number
  finished: number
  refused: number
}

const [port, slots, maxQueue] = process.argv.slice(2).map(Number) as [number, number, number]
const counts: ModelCounts = { started: 0, finished: 0, refused: 0 }
const queue: (() => void)[] = []
let running = 0

await needed()
await listen(port, {
  '/counts': () => Promise.resolve(counts),
  '/model': async (body, { response }) => {
    if (running >= slots && !(await waited(response))) return undefined
    running++
    counts.started++
    try {
      if (await answered(response)) counts.finished++
      return replyTo(body as ModelQuery)
    } finally {
      running--
      queue.shift()?.()
    }
  },
})
serves()

/** Whether its turn has come; false if it was refused, or the caller has gone. */
async function waited(response: ServerResponse): Promise<boolean> {
  if (queue.length >= maxQueue) {
    counts.refused++
    response.writeHead(429, { 'retry-after-ms': '500' }).end()
    return false
  }
  return new Promise(resolve => {
    const start = () => resolve(true)
    queue.push(start)
    response.once('close', () => {
      const at = queue.indexOf(start)
      if (at < 0) return
      queue.splice(at, 1)
      resolve(false)
    })
  })
}

/** Whether the caller waited for the answer. */
async function answered(response: ServerResponse): Promise<boolean> {
  const ms = medianMs * Math.exp(sigma * normal())
  let timer: NodeJS.Timeout | undefined
  const end = new Promise<true>(resolve => {
    timer = setTimeout(() => resolve(true), ms)
  })
  const isEnd = await Promise.race([end, once(response, 'close').then(() => false)])
  clearTimeout(timer)
  return isEnd
}

const normal = () => Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random())

const replyTo = ({ tools }: ModelQuery): ModelReply => ({ text: tools.length > 0 ? '' : 'x'.repeat(400), calls: tools })
