import { CallError, connect, TidingsError } from '../../../src/index.ts'
import { boundsOf } from './caller.ts'
import { needed, serves } from './child.ts'
import { listen, StatusError } from './http.ts'
import { goodWithinMs } from './task.ts'

/*
 * What answers the user in front of Tidings, as a process: asks and waits, or passes on that the agent has enough to do. Its requests have an
 * idempotency key, so a user who asks again after a crash gets the result of the same task.
 */

const [port, home, bus, tuned] = process.argv.slice(2) as [string, string, string, string]
const isTuned = tuned === 'tuned'
await needed()
const tidings = await connect(bus, { home })

await listen(Number(port), {
  '/task': async (body, exchange) => {
    const { request } = exchange
    const { deadline } = boundsOf(exchange, isTuned)
    const idempotencyKey = String(request.headers['idempotency-key'])
    const handle = await tidings
      .ask<unknown, unknown>('desk', body, { idempotencyKey, ...(isTuned && { deadline: `${goodWithinMs}ms` }) })
      .catch((error: unknown) => {
        if (error instanceof TidingsError && error.code === 'E_BUSY') throw new StatusError(503, error.message, 2_000)
        throw error
      })
    if (!isTuned) return handle.result()
    try {
      return await handle.result({ within: `${Math.max(1, deadline - Date.now())}ms` })
    } catch (error) {
      if (error instanceof TidingsError && error.code === 'E_RESULT_PENDING') {
        await handle.cancel('nobody waits for it any more')
        throw new StatusError(504, 'the deadline has passed')
      }
      if (error instanceof CallError) throw new StatusError(504, error.message)
      throw error
    }
  },
})
serves(() => tidings.close())
