import { writeFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import { TidingsError } from '../errors.ts'
import type { Bus } from '../bus/bus.ts'
import { readAccepted, writeAccepted } from '../replay/accept.ts'
import { clusters } from '../replay/cluster.ts'
import { junit } from '../replay/junit.ts'
import { replayInThreads, type Recorded } from '../replay/parallel.ts'
import { joined, type Outcome } from '../replay/replay.ts'
import { isClean, records, report } from '../replay/report.ts'
import { fromBus, fromFile, type Source } from '../replay/source.ts'
import { journals } from '../replay/waiting.ts'
import { terminalWidth } from './event-line.ts'
import { findApp } from './load-app.ts'
import { ask, withExistingLog } from './log.ts'
import { numberOf, say, type Globals } from './out.ts'
import { selectionOf, type SelectionOptions } from './selection.ts'

export interface ReplayOptions extends Globals, SelectionOptions {
  /** Only what waits: what a deploy of this code would go on with. */
  waiting?: boolean
  /** Slices in place of the log. */
  file?: string[]
  app?: string
  accept?: string
  update?: boolean
  junit?: string
  jobs?: string
}

/** `tidings replay`: exit code 1 where something comes out otherwise that is not accepted. */
export async function replay(options: ReplayOptions): Promise<void> {
  const { json, accept, update, junit: junitFile, waiting } = options
  const outcome = await outcomeOf(options)
  if (update) {
    if (!accept) throw new TidingsError('E_USAGE', '--update needs --accept FILE')
    writeAccepted(accept, clusters(outcome.divergences, new Set()))
  }
  const accepted = accept ? readAccepted(accept) : new Set<string>()
  if (junitFile) writeFileSync(junitFile, junit(outcome, accepted))
  if (json) for (const record of records(outcome, accepted)) await say(JSON.stringify(record))
  else for (const line of report(outcome, accepted, Math.min(terminalWidth(), 160))) await say(line)
  // What a deploy could not go on with is as bad as what it would decide otherwise.
  if (!isClean(outcome, accepted) || (waiting && outcome.skipped.length > 0)) process.exitCode = 1
}

async function outcomeOf(options: ReplayOptions): Promise<Outcome> {
  const module = pathToFileURL(findApp(options.app)).href
  const jobs = options.jobs === undefined ? undefined : numberOf('--jobs', options.jobs)
  if (!options.file) return withExistingLog(async bus => replayInThreads(module, await recordedOn(bus, options), jobs))
  if (options.waiting || options.task || options.correlation || options.since || options.until)
    throw new TidingsError('E_USAGE', 'a file is replayed whole')
  const outcomes: Outcome[] = []
  for (const file of options.file) outcomes.push(await replayInThreads(module, recordedIn(fromFile(file)), jobs))
  return joined(outcomes)
}

async function recordedOn(bus: Bus, options: ReplayOptions) {
  if (!options.waiting) return recordedIn(fromBus(bus, await selectionOf(bus, options)))
  if (options.task || options.correlation || options.since || options.until)
    throw new TidingsError('E_USAGE', 'of the tasks that wait, all are replayed')
  const live = await ask(bus, index =>
    (['running', 'waiting'] as const).flatMap(state => index.tasks({ state, limit: Number.MAX_SAFE_INTEGER })),
  )
  const tasks = live.map(({ task }) => task).toSorted()
  return { ...recordedIn(fromBus(bus, { all: true })), recorded: journals(bus, tasks) }
}

const recordedIn = (source: Source) => ({
  recorded: source.events() as AsyncIterable<Recorded>,
  document: (key: string) => source.document(key),
})
