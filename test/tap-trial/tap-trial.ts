import { glob } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout } from 'node:timers/promises'
import type { Bus } from '../../src/bus/bus.ts'
import { openBus } from '../../src/runtime/environment.ts'
import { keysIn } from './keys.ts'
import { readLog, secretPattern, type RecordedLog } from './record.ts'
import { Tap } from './tap.ts'
import { runTrial } from './trial.ts'
import { verify, type Verdict } from './verify.ts'

export interface TapTrialOptions {
  /** Of the log. */
  readonly home: string
  readonly bus: string
  /** More folders in which no key may be. */
  readonly folders?: readonly string[]
  readonly seed: number
  readonly calls: number
  readonly atOnce: number
  /** Number of `kill -9` of the tap. */
  readonly kills: number
  /** Makes the log unreachable in the middle of the calls, and reachable again. */
  readonly outage?: () => Promise<void>
  onProgress?(text: string): void
}

const main = join(import.meta.dirname, '../../src/cli/main.ts')
const name = 'trial'

/** The calls through a real tap, compared with those without, and then what the log says about them. */
export async function tapTrial(options: TapTrialOptions): Promise<Verdict> {
  const { home, bus: address, folders = [], seed, calls, atOnce, kills, outage, onProgress } = options
  let interrupted: Promise<void> | undefined
  const run = await runTrial({
    seed,
    calls,
    atOnce,
    kills,
    startTap: upstream =>
      Tap.start(port => [main, 'tap', 'openai', '--upstream', upstream, '--port', String(port), '--name', name], {
        TIDINGS_HOME: home,
        TIDINGS_BUS: address,
        TIDINGS_LOG_LEVEL: 'silent',
      }),
    onProgress(made) {
      onProgress?.(`${made} of ${calls} calls`)
      if (outage && made >= calls * 0.4) interrupted ??= outage()
    },
  })
  try {
    await interrupted
    const bus = await openBus({ home, bus: address })
    try {
      await settled(bus)
      const code = await run.tap.end('SIGTERM')
      const log = await readLog(bus, name)
      const { faults, figures, lacking } = verify(run.made, log)
      const found = [...run.faults, ...faults, ...(await keysIn([home, ...folders], secretPattern))]
      if (code !== 0) found.push(`the tap ended with ${code}: ${run.tap.output.slice(-2_000)}`)
      const inFlight = run.inFlightAtKills.reduce((sum, each) => sum + each, 0)
      return {
        lacking,
        faults: [...found, ...countFaults(figures, log, inFlight)],
        figures: { kills, 'in flight at kills': inFlight, ...figures },
      }
    } finally {
      await bus.close()
    }
  } finally {
    await run.stop()
  }
}

/** Waits until every call has an end, also those of taps that were killed. */
async function settled(bus: Bus): Promise<void> {
  const deadline = performance.now() + 60_000
  for (;;) {
    const { calls } = await readLog(bus, name)
    if (calls.every(({ answers }) => answers.length > 0) || performance.now() > deadline) return
    await setTimeout(500)
  }
}

/** Each call that is not on the log was counted by the tap, or by the one after it. */
function countFaults(figures: Verdict['figures'], { gap }: RecordedLog, inFlight: number): string[] {
  const { unrecorded = 0, interrupted = 0, nameless = 0 } = figures
  const recent = figures['ended just before a kill, and interrupted'] ?? 0
  // The tap may count what is no call of a model, and what was killed before the server had it.
  const uncertain = nameless + (figures['killed before the server had it'] ?? 0)
  const found: string[] = []
  if (unrecorded > gap || gap > unrecorded + uncertain)
    found.push(`${unrecorded} calls are not on the log, and the tap counted ${gap}; ${uncertain} it may count or not`)
  if (interrupted > inFlight + recent)
    found.push(`${interrupted} calls are interrupted; ${inFlight} were in flight at kills, ${recent} had just ended`)
  return found
}

/** Holds the lock of the embedded log, so that nobody else can write. */
export async function lockLog(home: string, ms: number): Promise<void> {
  const [file] = await Array.fromAsync(glob(join(home, '**/log.db')))
  if (file === undefined) throw new Error(`there is no log in ${home}`)
  const database = new DatabaseSync(file)
  try {
    database.exec('BEGIN IMMEDIATE')
    await setTimeout(ms)
    database.exec('ROLLBACK')
  } finally {
    database.close()
  }
}
