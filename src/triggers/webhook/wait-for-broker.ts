import { setTimeout as pause } from 'node:timers/promises'
import type { Bus } from '../../bus/bus.ts'

/* A write waits for a broker that is away for longer than sources wait for an answer; some of them do not come again. */

/** Longer than a connection takes to be made anew, and shorter than the patience of any source. */
const patienceMs = 2_000
const lookMs = 50

/** Resolves when the log can be used as far as is known, at once mostly. @throws what is the matter with it */
export async function waitForBroker(bus: Bus): Promise<void> {
  for (const until = performance.now() + patienceMs; bus.problem; await pause(lookMs))
    if (performance.now() >= until) throw bus.problem
}
