import { once } from 'node:events'
import { styleText } from 'node:util'
import { plainRedactor } from '../bus/redact.ts'
import { textOf, TidingsError, type ErrorData } from '../errors.ts'
import { CallError } from '../tasks/script.ts'
import { asTyped } from '../trace/paint.ts'

/** Options of every command. */
export interface GlobalOptions {
  /** Print one JSON object per line instead of text. */
  json?: boolean
}

/** Waits while the output pipe is full. */
export async function print(line: string): Promise<void> {
  if (!process.stdout.write(`${line}\n`)) await once(process.stdout, 'drain')
}

/** Resolves when everything is written. A closed pipe ends the process first, see main.ts. */
export function flushOutput(): Promise<void> {
  return new Promise(resolve => process.stdout.write('', error => error || resolve()))
}

export async function printResult({ json }: GlobalOptions, result: object, lines: readonly string[]): Promise<void> {
  await print(json ? JSON.stringify(result) : lines.join('\n'))
}

/** Prints one line, or one JSON object with --json, for each entry; `none` as text if there is no entry. */
export async function printAll<T>(
  { json }: GlobalOptions,
  entries: readonly T[],
  lineOf: (entry: T) => string,
  none: string,
): Promise<void> {
  for (const entry of entries) await print(json ? JSON.stringify(entry) : lineOf(entry))
  if (entries.length === 0 && !json) await print(none)
}

/** Marks the next step that an entry suggests. */
export const arrow = () => styleText('cyan', '→')

export const usageError = (message: string) => new TidingsError('E_USAGE', message)

/** @throws E_USAGE */
export function parseCount(option: string, text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text)
  throw usageError(`${option} "${text}" is not valid: expected a whole number from 1`)
}

/** Prints an error to standard error. `help`: the help command to suggest for wrong usage. Returns the exit code. */
export function reportError(error: unknown, { json }: GlobalOptions, help?: string): number {
  const data = dataOf(error)
  const { code } = data
  const hint = code === 'E_USAGE' && help !== undefined ? `\`${help}\` lists arguments and options.` : data.next
  const next = hint === undefined ? undefined : asTyped(hint)
  const message = plainRedactor.text(data.message)
  const paint = (style: Parameters<typeof styleText>[0], text: string) =>
    styleText(style, text, { stream: process.stderr })
  const [first, ...more] = message.split('\n')
  const text = json
    ? JSON.stringify({ error: { code, message, next } })
    : [
        `${paint('red', '✖')} ${first} ${paint('dim', code)}`,
        ...more,
        ...(next === undefined ? [] : [`  ${paint('cyan', '→')} ${next}`]),
      ].join('\n')
  process.stderr.write(`${text}\n`)
  if (process.env.TIDINGS_DEBUG && error instanceof Error)
    process.stderr.write(`${plainRedactor.text(error.stack ?? '')}\n`)
  return code === 'E_USAGE' ? 2 : 1
}

/** What an error says. A task that failed is not a fault of the command. */
function dataOf(error: unknown): Pick<ErrorData, 'code' | 'message'> & { readonly next: string | undefined } {
  if (error instanceof TidingsError) return error
  if (error instanceof CallError) return { ...error.data, next: error.next }
  return new TidingsError('E_INTERNAL', textOf(error))
}

/** Aborts on SIGINT or SIGTERM; a second signal exits at once. */
export function shutdownSignal(): AbortSignal {
  const shutdown = new AbortController()
  const stop = () => {
    if (shutdown.signal.aborted) process.exit(130)
    shutdown.abort()
  }
  process.on('SIGINT', stop).on('SIGTERM', stop)
  return shutdown.signal
}
