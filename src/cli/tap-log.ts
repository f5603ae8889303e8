import { join } from 'node:path'
import type { Bus } from '../bus/bus.ts'
import { Recorder, type TapStatus } from '../taps/recorder.ts'
import { countText } from '../trace/text.ts'
import { environment, shownLog } from '../runtime/environment.ts'
import { loadApp } from './load-app.ts'
import { openLog } from './log.ts'

/** The log of a tap, which may be away. */
export interface TapLog {
  readonly recorder: Recorder
  /** Opens the log. Resolves after the first attempt, whether or not it is there. */
  start(): Promise<void>
  /** Writes what waits, and closes the log. */
  close(): Promise<void>
}

/** A tap tries again, so an attempt to reach a broker need not take long. */
const timeoutMs = 2_000

/** `app`: the app file whose redaction rules apply. @throws E_APP_INVALID */
export async function tapLog(name: string, app: string | undefined): Promise<TapLog> {
  const rules = app === undefined ? {} : { redactor: (await loadApp(app)).app.redactor }
  let bus: Bus | undefined
  const open = async () => (bus = await openLog({ timeoutMs, app, ...rules }))
  const folder = join(environment().home, 'taps')
  const recorder = new Recorder({ name, open, folder, onStatus: reportAway })
  return {
    recorder,
    start: () => recorder.start(),
    async close() {
      await recorder.stop()
      await bus?.close()
    },
  }
}

function reportAway({ log, problem, tap }: TapStatus): void {
  if (log === 'away' && problem) say(tap, `forwards without the log: ${problem.message} ${problem.code}`)
}

/** Says how many calls are not on the log, if there are any. */
export function reportUnrecorded({ unrecorded, waiting, problem, tap }: TapStatus): void {
  const calls = unrecorded + waiting
  if (calls === 0) return
  const why = problem ? `${problem.message} ${problem.code}` : `${shownLog(environment())} was not reached in time`
  say(tap, `${countText(calls, 'call')} not recorded: ${why}`)
}

const say = (tap: string, text: string) => void process.stderr.write(`tidings tap "${tap}": ${text}\n`)
