import { once } from 'node:events'
import { styleText } from 'node:util'
import { plainRedactor } from '../bus/redact.ts'
import { textOf, TidingsError } from '../errors.ts'

/** Options that every verb has. */
export interface GlobalOptions {
  /** One JSON object a line in place of text for people. */
  json?: boolean
}

/** Writes a line at the pace of whoever reads it. */
export async function print(line: string): Promise<void> {
  if (!process.stdout.write(`${line}\n`)) await once(process.stdout, 'drain')
}

/** Resolves when all that was written has reached its reader. A reader that went away ends the process first, see main.ts. */
export function flushOutput(): Promise<void> {
  return new Promise(resolve => process.stdout.write('', error => error || resolve()))
}

/** A result: for programs as one JSON object, for people as lines. */
export async function printResult({ json }: GlobalOptions, result: object, lines: readonly string[]): Promise<void> {
  await print(json ? JSON.stringify(result) : lines.join('\n'))
}

/** The number that an option gives. @throws E_USAGE */
export function parseCount(option: string, text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new TidingsError('E_USAGE', `${option} takes a number from 1, not "${text}"`)
  return Number(text)
}

/** Says on the standard error what happened and what to do next. `help`: of the verb that was called. Returns the exit code. */
export function reportError(error: unknown, { json }: GlobalOptions, help?: string): number {
  const tidings = toError(error)
  const { code } = tidings
  const next = code === 'E_USAGE' && help !== undefined ? `\`${help}\` lists arguments and options.` : tidings.next
  const message = plainRedactor.text(tidings.message)
  const paint = (style: Parameters<typeof styleText>[0], text: string) =>
    styleText(style, text, { stream: process.stderr })
  const [first, ...more] = message.split('\n')
  const text = json
    ? JSON.stringify({ error: { code, message, next } })
    : [`${paint('red', '✖')} ${first} ${paint('dim', code)}`, ...more, `  ${paint('cyan', '→')} ${next}`].join('\n')
  process.stderr.write(`${text}\n`)
  if (process.env.TIDINGS_DEBUG && error instanceof Error)
    process.stderr.write(`${plainRedactor.text(error.stack ?? '')}\n`)
  return code === 'E_USAGE' ? 2 : 1
}

const toError = (error: unknown) =>
  error instanceof TidingsError ? error : new TidingsError('E_INTERNAL', textOf(error))

/** Aborts when the process is asked to end. Asked again, it ends at once. */
export function shutdownSignal(): AbortSignal {
  const asked = new AbortController()
  const stop = () => {
    if (asked.signal.aborted) process.exit(130)
    asked.abort()
  }
  process.on('SIGINT', stop).on('SIGTERM', stop)
  return asked.signal
}
