import { randomUUIDv7 } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { Balancer } from './balancer.ts'
import { deadlineHeader, postJson } from './caller.ts'
import { StatusError } from './http.ts'
import { goodWithinMs } from './task.ts'

/** How the tasks ended that users asked for. */
export interface Ends {
  asked: number
  /** What was done in time: when, and how long after the scheduled arrival. */
  good: { at: number; ms: number }[]
  /** Were refused each time. */
  refused: number
  /** Were accepted, or broke, and not done in time. */
  late: number
  /** Attempts that broke: the connection was lost, or the service failed. */
  broken: number
}

const minTaskMs = 2_000
const firstBackoffMs = 500
const maxBackoffMs = 16_000

/**
 * Users who arrive at a fixed rate, whatever becomes of the earlier ones. Each asks until the task is done or 60 s have passed since the arrival: after
 * a refusal or a failure again, with backoff and jitter, under the same idempotency key.
 */
export async function openLoop(urls: readonly string[], perSecond: number, seconds: number): Promise<Ends> {
  const ends: Ends = { asked: 0, good: [], refused: 0, late: 0, broken: 0 }
  const begin = Date.now()
  const service = new Balancer(urls)
  const users: Promise<void>[] = []
  for (let i = 0; i < perSecond * seconds; i++) {
    const due = begin + Math.round((i * 1_000) / perSecond)
    if (due > Date.now()) await pause(due - Date.now())
    users.push(user(service, due, ends))
  }
  await Promise.all(users)
  return ends
}

async function user(service: Balancer, due: number, ends: Ends): Promise<void> {
  ends.asked++
  const deadline = due + goodWithinMs
  const headers = { [deadlineHeader]: String(deadline), 'idempotency-key': randomUUIDv7() }
  let wasRefusedOnly = true
  for (let tries = 1; ; tries++) {
    try {
      const signal = AbortSignal.timeout(Math.max(1, deadline - Date.now()))
      await service.call(url => postJson(`${url}/task`, 'What shall we do?', signal, headers))
      ends.good.push({ at: Date.now(), ms: Date.now() - due })
      return
    } catch (error) {
      const isRefusal = error instanceof StatusError && error.status === 503
      if (!isRefusal) wasRefusedOnly = false
      const isTimeout = Object(error).name === 'TimeoutError'
      if (!isRefusal && !isTimeout) ends.broken++
      const asked = error instanceof StatusError ? (error.retryAfterMs ?? 0) : 0
      const wait = Math.max(asked, Math.random() * Math.min(maxBackoffMs, firstBackoffMs * 2 ** tries))
      if (isTimeout || Date.now() + wait + minTaskMs > deadline) break
      await pause(wait)
    }
  }
  if (wasRefusedOnly) ends.refused++
  else ends.late++
}
