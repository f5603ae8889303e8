import { eventFields, log } from '../bus/telemetry/log.ts'
import { jsonOf, type Json } from '../json.ts'
import type { TaskIdentity } from './turn.ts'

/** A line that a turn writes to the log of the process once it is accepted. */
export interface LogLine {
  readonly level: 'error' | 'warn' | 'info' | 'debug'
  readonly message: string
  /** JSON. */
  readonly data?: unknown
}

/** `ctx.log`: lines for the log of the process, each with the task and its correlation. */
export interface TurnLog {
  error(message: string, data?: unknown): void
  warn(message: string, data?: unknown): void
  info(message: string, data?: unknown): void
  debug(message: string, data?: unknown): void
}

/** Passes lines to the turn under way. */
export function turnLog(write: (line: LogLine) => void): TurnLog {
  const of = (level: LogLine['level']) => (message: string, data?: unknown) =>
    write({ level, message: String(message), ...(data !== undefined && { data: jsonOf(data, 'the data of ctx.log') }) })
  return { error: of('error'), warn: of('warn'), info: of('info'), debug: of('debug') }
}

/** Writes the lines of an accepted turn, redacted. */
export function writeLog({ task, program, start, redactor }: TaskIdentity, lines: readonly LogLine[]): void {
  const { correlationid } = eventFields(start)
  for (const { level, message, data } of lines)
    log[level]?.(
      { correlationid, task, agent: program, ...(data !== undefined && { data: redacted(redactor, data) }) },
      redactor.text(message),
    )
}

const redacted = (redactor: TaskIdentity['redactor'], data: unknown): Json =>
  JSON.parse(redactor.json(JSON.stringify(data)))
