import { setLogger } from '../bus/telemetry/log.ts'
import { TidingsError } from '../errors.ts'

const levels = ['error', 'warn', 'info', 'debug'] as const

/**
 * Starts writing the log as JSON lines to the standard error, from the level in `TIDINGS_LOG_LEVEL` on: `error`, `warn`, `info` (the
 * default), `debug`, or `silent`. On a terminal the default is `silent`.
 * @throws E_SETTING_INVALID
 */
export async function startLogging(env: NodeJS.ProcessEnv = process.env): Promise<void> {
  const { TIDINGS_LOG_LEVEL: asked } = env
  const level = asked || (process.stderr.isTTY ? 'silent' : 'info')
  if (level === 'silent') return setLogger({})
  const index = levels.findIndex(each => each === level)
  if (index < 0)
    throw new TidingsError(
      'E_SETTING_INVALID',
      `TIDINGS_LOG_LEVEL is "${level}": expected ${levels.join(', ')} or silent`,
    )
  const { pino } = await import('pino')
  const logger = pino(
    { level, base: { pid: process.pid }, timestamp: pino.stdTimeFunctions.isoTime, messageKey: 'message', ...asText },
    pino.destination({ dest: 2, sync: true }),
  )
  setLogger(
    Object.fromEntries(
      levels.slice(0, index + 1).map(each => [each, (fields: object, text: string) => logger[each](fields, text)]),
    ),
  )
}

const asText = { formatters: { level: (label: string) => ({ level: label }) } }
