import { setLogger } from '../bus/telemetry/log.ts'
import { TidingsError } from '../errors.ts'

const levels = ['error', 'warn', 'info', 'debug'] as const

/**
 * From now on this process says what happens as JSON lines on the standard error, `TIDINGS_LOG_LEVEL` and above: `error`,
 * `warn`, `info` (the default), `debug`, or `silent`. To a person at a terminal only where that variable is set.
 * @throws E_SETTING_INVALID
 */
export async function startLogging(env: NodeJS.ProcessEnv = process.env): Promise<void> {
  const { TIDINGS_LOG_LEVEL: asked } = env
  const level = asked || (process.stderr.isTTY ? 'silent' : 'info')
  if (level === 'silent') return setLogger({})
  const least = levels.findIndex(each => each === level)
  if (least < 0)
    throw new TidingsError('E_SETTING_INVALID', `TIDINGS_LOG_LEVEL=${level}: there is ${levels.join(', ')}, silent`)
  const { pino } = await import('pino')
  const logger = pino(
    { level, base: { pid: process.pid }, timestamp: pino.stdTimeFunctions.isoTime, messageKey: 'message', ...asText },
    pino.destination({ dest: 2, sync: true }),
  )
  setLogger(
    Object.fromEntries(
      levels.slice(0, least + 1).map(each => [each, (fields: object, text: string) => logger[each](fields, text)]),
    ),
  )
}

const asText = { formatters: { level: (label: string) => ({ level: label }) } }
