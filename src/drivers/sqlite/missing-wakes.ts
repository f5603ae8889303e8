import { setTimeout } from 'node:timers/promises'
import { parseId } from '../../bus/ids.ts'
import { log } from '../../bus/telemetry/log.ts'
import type { CloudEvent } from '../../event.ts'
import type { BlobFiles } from './blob-files.ts'
import type { LiveTaskRow, LogReader } from './reader.ts'
import type { OpSubmitter } from './writer-client.ts'

/*
 * One transaction stores the wake-up of a task twice: in its newest turn, and in its row of `live`, which is indexed by time.
 * This check compares both from time to time, so that no fault can leave a task asleep forever.
 */

const firstCheckDelayMs = 1_000
const checkIntervalMs = 3_600_000
/** Between two pages, so that the check hardly costs other work anything. */
const pageDelayMs = 50

export interface MissingWake {
  readonly group: string
  readonly task: string
  readonly due: number
  /** Version of the newest turn. */
  readonly version: number
}

/** Live tasks that wait for `due` according to their newest turn, but whose row has no wake-up or a later one. */
export async function* findMissingWakes(
  reader: LogReader,
  blobs: BlobFiles,
  afterPage: () => Promise<unknown>,
): AsyncGenerator<MissingWake> {
  for (const page of reader.liveTasks()) {
    for (const task of page) {
      const found = await missingWakeOf(task, blobs)
      if (found) yield found
    }
    await afterPage()
  }
}

async function missingWakeOf(
  { group, task, wake, turn }: LiveTaskRow,
  blobs: BlobFiles,
): Promise<MissingWake | undefined> {
  if (turn === null) return undefined
  const event = JSON.parse(turn) as CloudEvent
  const due = await wakeOf(event, blobs)
  if (typeof due !== 'number' || (wake !== null && wake <= due)) return undefined
  return { group, task, due, version: parseId(event.id)!.version }
}

/** Undefined if the turn was written by a version that did not always record it, or if its data is gone. */
async function wakeOf({ tenant, data, dataref }: CloudEvent, blobs: BlobFiles): Promise<number | null | undefined> {
  if (!dataref) return (data as { wake?: number | null } | null)?.wake
  const bytes = await blobs.get(tenant, dataref)
  return bytes && (JSON.parse(Buffer.from(bytes).toString()) as { wake?: number | null }).wake
}

/** Checks repeatedly until the signal aborts, and restores the wake-ups that are missing. */
export async function restoreMissingWakes(
  reader: LogReader,
  blobs: BlobFiles,
  submitter: OpSubmitter,
  signal: AbortSignal,
): Promise<void> {
  const options = { ref: false, signal }
  const afterPage = () => setTimeout(pageDelayMs, undefined, options)
  try {
    for (let delayMs = firstCheckDelayMs; ; delayMs = checkIntervalMs) {
      await setTimeout(delayMs, undefined, options)
      for await (const { task, version, due } of findMissingWakes(reader, blobs, afterPage))
        if (await submitter.submit({ kind: 'restoreWake', task, version, wake: due }))
          log.warn?.({ task }, 'the wake-up of this task was missing and was restored')
    }
  } catch (error) {
    if (!signal.aborted) log.warn?.({}, `the search for missing wake-ups stopped: ${String(error)}`)
  }
}
