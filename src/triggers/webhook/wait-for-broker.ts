import { setTimeout as pause } from 'node:timers/promises'
import type { Bus } from '../../bus/bus.ts'

// Long enough for a reconnect, and shorter than any source waits for a response.
const timeoutMs = 2_000
const pollIntervalMs = 50

/**
 * Resolves when the log is usable, usually at once. A write would wait for the broker for longer than sources wait for a
 * response, and some do not retry. @throws the problem of the log
 */
export async function waitForBroker(bus: Bus): Promise<void> {
  for (const deadline = performance.now() + timeoutMs; bus.problem; await pause(pollIntervalMs))
    if (performance.now() >= deadline) throw bus.problem
}
