import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { Bus } from '../../src/bus/bus.ts'
import type { CloudEvent } from '../../src/event.ts'
import { openLog } from '../boundaries/log.ts'
import type { Turn } from '../../src/tasks/program.ts'
import { host, type Roles } from './host.ts'
import type { Program } from './language.ts'
import type { Role } from './worker.ts'

/** An event of the log, with its data. */
export interface Logged {
  readonly position: number
  readonly event: CloudEvent
}

export interface Log {
  /** All of it, when every program has ended, and everybody who hears what they emitted. */
  readonly events: readonly Logged[]
  /** What had not ended when nothing more came. */
  readonly unfinished?: string
  /** The correlation of each program. */
  readonly correlations: readonly string[]
  /** Processes that killed themselves. */
  readonly deaths: number
}

/** How the programs are run. */
export type Mode =
  | { readonly kind: 'one process'; readonly cold: boolean }
  /** The tools are in a process of their own. */
  | { readonly kind: 'several processes'; readonly cold: boolean }
  /** One process after the other, each of which is killed at some write to the log. */
  | { readonly kind: 'killed'; readonly cold: boolean; readonly fatal: () => number; readonly most: number }

// Longer than it takes to start a process on a machine that is busy, and for a lease to end: 10 s were too short.
const patienceMs = 60_000

/** Until nothing has happened for a while: no event, and no process that died before it could write one. */
class Patience {
  readonly #over = new AbortController()
  readonly #timer = setTimeout(() => this.#over.abort(), patienceMs)
  readonly over = this.#over.signal

  renew(): void {
    this.#timer.refresh()
  }

  end(): void {
    clearTimeout(this.#timer)
  }
}

/** Runs the programs to their end, on a log that is empty. */
export async function run(log: string, programs: readonly Program[], mode: Mode): Promise<Log> {
  const driver = await openLog(log)
  const bus = new Bus(driver)
  const ends: (() => Promise<unknown>)[] = []
  const all: Roles = { agents: true, tools: true, cold: mode.cold }
  try {
    if (mode.kind === 'one process') ends.push(await host(bus, all))
    else if (mode.kind === 'several processes') {
      const { child, ready } = spawned({ log, ...all, agents: false })
      ends.push(await host(bus, { ...all, tools: false }), () => ended(child))
      await ready
    } else {
      // The group is there before the programs are started.
      await (await host(bus, { ...all, tools: false }))()
    }
    const correlations: string[] = []
    for (let i = 0; i < programs.length; i += 500) {
      const drafts = programs.slice(i, i + 500).map(({ kind, input, steps }) => ({
        type: 'agent.invoke',
        target: kind,
        data: { input: { steps: JSON.stringify(steps), value: input } },
      }))
      correlations.push(...(await bus.publishAll(drafts)).map(({ correlationid }) => correlationid))
    }
    const patience = new Patience()
    const whole = wholeLog(bus, correlations.length, patience)
    if (mode.kind !== 'killed') return { ...(await whole), correlations, deaths: 0 }
    const chain = dying({ log, ...all }, mode, patience)
    ends.push(chain.end)
    return { ...(await whole), correlations, deaths: chain.deaths() }
  } finally {
    for (const end of ends) await end()
    await driver.close()
  }
}

/**
 * Follows the log until as many programs have ended as were started, and both ears of everything that was said. What a turn
 * names may come after it.
 */
async function wholeLog(bus: Bus, started: number, patience: Patience): Promise<Pick<Log, 'events' | 'unfinished'>> {
  const events: Logged[] = []
  const seen = new Set<string>()
  const missing = new Set<string>()
  let programs = 0
  let ears = 0
  let said = 0
  for await (const { position, event } of bus.follow('0', undefined, patience.over)) {
    patience.renew()
    if (seen.has(event.id)) continue
    seen.add(event.id)
    const whole = await bus.resolve(event)
    events.push({ position: position.offset, event: whole })
    missing.delete(event.id)
    if (event.type === 'task.turn')
      for (const { id } of [...(whole.data as Turn).inputs, ...(whole.data as Turn).emits])
        if (!seen.has(id)) missing.add(id)
    if (event.type === 'value.said') said++
    else if (event.type === 'agent.task.completed' || event.type === 'agent.task.failed')
      if ((whole.data as { program: string }).program.startsWith('ear')) ears++
      else programs++
    if (programs === started && ears === 2 * said && missing.size === 0) {
      patience.end()
      return { events }
    }
  }
  const counts = `${programs} of ${started} programs and ${ears} of ${2 * said} ears have ended`
  return { events, unfinished: `${counts}; missing are ${[...missing].join(', ') || 'none'}` }
}

/** Processes that kill themselves, one after the other; the last one lives. */
function dying(role: Role, { fatal, most }: Extract<Mode, { kind: 'killed' }>, patience: Patience) {
  let isOver = false
  let deaths = 0
  let last: ChildProcess | undefined
  const going = (async () => {
    for (let n = 0; !isOver; n++) {
      const { child } = spawned(n < most ? { ...role, fatal: fatal() } : role)
      last = child
      await once(child, 'exit')
      // The last one is to live: if it does not, nothing happens that is worth waiting for.
      if (n < most) patience.renew()
      if (!isOver) deaths++
    }
  })()
  return {
    deaths: () => deaths,
    async end() {
      isOver = true
      last?.kill('SIGKILL')
      await going
    },
  }
}

function spawned(role: Role): { child: ChildProcess; ready: Promise<unknown> } {
  const child = fork(join(import.meta.dirname, 'worker.ts'), [JSON.stringify(role)], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] }) // biome-ignore format: one line
  return { child, ready: once(child, 'message') }
}

async function ended(child: ChildProcess): Promise<void> {
  const exit = once(child, 'exit')
  child.kill('SIGKILL')
  await exit
}
