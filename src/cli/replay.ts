import { existsSync, writeFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import type { Bus } from '../bus/bus.ts'
import { AcceptedDivergences } from '../replay/accept.ts'
import { clusterDivergences } from '../replay/cluster.ts'
import { junit } from '../replay/junit.ts'
import { replayInProcesses, type ReplayInput } from '../replay/parallel.ts'
import { combineOutcomes, type ReplayOutcome } from '../replay/replayer.ts'
import {
  exitCodes,
  renderReport,
  replayVerdict,
  reportRecords,
  type GateRequirements,
  type ReplayVerdict,
} from '../replay/report.ts'
import { readJournals, sourceFromBus, sourceFromFile, type RecordedSource } from '../replay/source.ts'
import { terminalWidth } from './event-line.ts'
import { findApp } from './load-app.ts'
import { queryIndex, withExistingLog } from './log.ts'
import { parseCount, reportError, flushOutput, print, usageError, type GlobalOptions } from './output.ts'
import { isSelective, parseSelection, type SelectionOptions } from './selection.ts'

export interface ReplayCommandOptions extends GlobalOptions, SelectionOptions {
  /** Only waiting tasks, which a deploy of this code would continue. */
  waiting?: boolean
  /** Slices to replay instead of the log. */
  file?: string[]
  app?: string
  accept?: string
  update?: boolean
  junit?: string
  jobs?: string
  expectAtLeast?: string
}

/** For wrong usage, a log or an app that cannot be read, and an incomplete report. */
const errorCode = 2

/** `tidings replay`: the verdict decides the exit code. */
export async function replayCommand(options: ReplayCommandOptions): Promise<void> {
  // If the pipe closes early, the process exits with the code that is set then, which must not be 0.
  process.exitCode = errorCode
  try {
    process.exitCode = exitCodes[await replayAndReport(options)]
  } catch (error) {
    reportError(error, options)
  }
}

async function replayAndReport(options: ReplayCommandOptions): Promise<ReplayVerdict> {
  const { json, accept, update, junit: junitFile, expectAtLeast } = options
  if (update && !accept) throw usageError('--update needs --accept FILE')
  const atLeast = expectAtLeast === undefined ? undefined : parseCount('--expect-at-least', expectAtLeast)
  let accepted =
    accept && (!update || existsSync(accept)) ? AcceptedDivergences.read(accept) : new AcceptedDivergences()
  const outcome = await runReplay(options)
  if (update) {
    accepted.update(accept!, clusterDivergences(outcome.divergences, new AcceptedDivergences()))
    accepted = AcceptedDivergences.read(accept!)
  }
  const demand: GateRequirements = { accepted, atLeast }
  const verdict = replayVerdict(outcome, demand)
  process.exitCode = exitCodes[verdict] || errorCode
  if (junitFile) writeFileSync(junitFile, junit(outcome, demand))
  if (json) for (const record of reportRecords(outcome, demand)) await print(JSON.stringify(record))
  else for (const line of renderReport(outcome, demand, Math.min(terminalWidth(), 160))) await print(line)
  await flushOutput()
  return verdict
}

async function runReplay(options: ReplayCommandOptions): Promise<ReplayOutcome> {
  const app = findApp(options.app)
  const module = pathToFileURL(app).href
  const jobs = options.jobs === undefined ? undefined : parseCount('--jobs', options.jobs)
  if (!options.file) {
    const replay = async (bus: Bus) => replayInProcesses(module, await recordedOnLog(bus, options), { jobs })
    return withExistingLog(replay, { readOnly: true, app })
  }
  if (options.waiting || isSelective(options))
    throw usageError(
      'a file is replayed as a whole: --file cannot be combined with --task, --correlation, --since, --until or --waiting',
    )
  const outcomes: ReplayOutcome[] = []
  for (const file of options.file)
    outcomes.push(await replayInProcesses(module, recordedFrom(sourceFromFile(file)), { jobs }))
  return combineOutcomes(outcomes)
}

async function recordedOnLog(bus: Bus, options: ReplayCommandOptions) {
  if (!options.waiting) return recordedFrom(sourceFromBus(bus, await parseSelection(bus, options)))
  if (isSelective(options))
    throw usageError(
      '--waiting replays all waiting tasks: it cannot be combined with --task, --correlation, --since or --until',
    )
  const live = await queryIndex(bus, index =>
    (['running', 'waiting'] as const).flatMap(state => index.tasks({ state, limit: Number.MAX_SAFE_INTEGER })),
  )
  const tasks = live.map(({ task }) => task).toSorted()
  return { ...recordedFrom(sourceFromBus(bus, { all: true })), recorded: () => readJournals(bus, tasks) }
}

const recordedFrom = (source: RecordedSource) => ({
  recorded: () => source.events() as AsyncIterable<ReplayInput>,
  document: (key: string) => source.document(key),
})
