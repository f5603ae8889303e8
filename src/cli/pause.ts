import type { PausableKind } from '../bus/pauses.ts'
import { pausableKinds, setPaused } from '../runtime/operations/hosted.ts'
import { dim, tidings } from '../trace/paint.ts'
import { withExistingLog } from './log.ts'
import { printResult, usageError, type GlobalOptions } from './output.ts'

export const pauseCommand = (kind: string, name: string, options: GlobalOptions) => change(kind, name, true, options)

export const resumeCommand = (kind: string, name: string, options: GlobalOptions) => change(kind, name, false, options)

async function change(kind: string, name: string, paused: boolean, options: GlobalOptions): Promise<void> {
  if (!isPausable(kind)) throw usageError(`"${kind}" cannot be paused: expected agent, tool or model, then a name`)
  const changed = await withExistingLog(bus => setPaused(bus, { kind, name }, paused))
  const state = paused ? 'paused' : 'running'
  const next = paused
    ? `  its deliveries are kept; to continue: ${tidings} resume ${kind} ${name}`
    : '  the deliveries that were kept are delivered now'
  await printResult(options, { kind, name, state, changed }, [
    `${kind} ${name} ${changed ? 'is now' : 'was already'} ${state}`,
    ...(changed ? [dim(next)] : []),
  ])
}

const isPausable = (kind: string): kind is PausableKind => (pausableKinds as readonly string[]).includes(kind)
