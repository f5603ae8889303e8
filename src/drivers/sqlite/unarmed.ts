import { setTimeout } from 'node:timers/promises'
import { parseId } from '../../bus/ids.ts'
import { log } from '../../bus/telemetry/log.ts'
import type { CloudEvent } from '../../event.ts'
import type { Blobs } from './blobs.ts'
import type { Writes } from './line.ts'
import type { Live, Reader } from './reader.ts'

/*
 * The wake-up of a task stands in its newest turn and, for the index by time, in its row of `live`, both written by one
 * transaction. This looks whether they agree, from time to time and slowly, so that no fault can make a task sleep for ever.
 */

const firstAfter = 1_000
const every = 3_600_000
/** Between two pages, so that it costs next to nothing beside other work. */
const pause = 50

export interface Unarmed {
  readonly group: string
  readonly task: string
  readonly due: number
  /** Version of the turn that says so. */
  readonly version: number
}

/** Live tasks that wait for `due` by their newest turn, and whose row has no wake-up or a later one. */
export async function* unarmed(reader: Reader, blobs: Blobs, rest: () => Promise<unknown>): AsyncGenerator<Unarmed> {
  for (const page of reader.live()) {
    for (const live of page) {
      const found = await check(live, blobs)
      if (found) yield found
    }
    await rest()
  }
}

async function check({ group, task, wake, turn }: Live, blobs: Blobs): Promise<Unarmed | undefined> {
  if (turn === null) return undefined
  const event = JSON.parse(turn) as CloudEvent
  const due = await wakeOf(event, blobs)
  if (typeof due !== 'number' || (wake !== null && wake <= due)) return undefined
  return { group, task, due, version: parseId(event.id)!.version }
}

/** What the turn says; undefined where it is of a version that did not always say it, or its data is gone. */
async function wakeOf({ tenant, data, dataref }: CloudEvent, blobs: Blobs): Promise<number | null | undefined> {
  if (!dataref) return (data as { wake?: number | null } | null)?.wake
  const bytes = await blobs.get(tenant, dataref)
  return bytes && (JSON.parse(Buffer.from(bytes).toString()) as { wake?: number | null }).wake
}

/** Looks again and again, until the signal aborts, and sets right what it finds. */
export async function keepArmed(reader: Reader, blobs: Blobs, line: Writes, signal: AbortSignal): Promise<void> {
  const options = { ref: false, signal }
  try {
    for (let wait = firstAfter; ; wait = every) {
      await setTimeout(wait, undefined, options)
      for await (const { task, version, due } of unarmed(reader, blobs, () => setTimeout(pause, undefined, options)))
        if (await line.submit(['rearm', task, version, due]))
          log.warn?.({ task }, 'the wake-up of this task was not known: it is set again')
    }
  } catch (error) {
    if (!signal.aborted) log.warn?.({}, `missing wake-ups are not looked for any more: ${String(error)}`)
  }
}
