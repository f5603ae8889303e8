import { admit } from '../bus/admit.ts'
import type { Bus, PublishedEvent } from '../bus/bus.ts'
import { parseJson } from '../bus/decode.ts'
import { textOf, TidingsError } from '../errors.ts'
import { assertHosted } from '../tasks/hosts.ts'
import { dim, tidings } from '../trace/paint.ts'
import { milliseconds, type Duration } from '../tasks/duration.ts'
import { findApp, findAppIfAny, loadApp } from './load-app.ts'
import { resolveCorrelation, withLog } from './log.ts'
import { printUntilEnded } from './started-tasks.ts'
import { printResult, type GlobalOptions } from './output.ts'

export interface PublishOptions {
  id?: string
  correlation?: string
  target?: string
}

export interface AppOption {
  /** The app file whose event types and redaction rules apply. Default: that of the working folder, if there is one. */
  app?: string
}

export interface WaitOptions {
  wait?: boolean
  within: Duration
}

const cliAdmission = { source: '/cli', isOperator: true }
const maxLength = 4 * 1024 * 1024

export async function publishCommand(
  type: string,
  json: string | undefined,
  options: PublishOptions & AppOption & WaitOptions & GlobalOptions,
): Promise<void> {
  if (options.wait) milliseconds(options.within)
  const data = json === '-' ? await readStdin() : (json ?? 'null')
  const rules = await rulesOfApp(options)
  await withLog(async bus => {
    const published = await publishText(bus, type, data, options)
    await printPublished(type, published, options)
    if (options.wait) await printUntilEnded(bus, published, options)
  }, rules)
}

/** What the app says about data. An app of the working folder that cannot be loaded stops nothing, as a worker of an older version may run. */
async function rulesOfApp({ app: named, json }: AppOption & GlobalOptions) {
  const file = named === undefined ? findAppIfAny() : findApp(named)
  if (file === undefined) return {}
  try {
    const { app } = await loadApp(file)
    return { events: app.events, redactor: app.redactor }
  } catch (error) {
    if (named !== undefined) throw error
    if (!json) process.stderr.write(`${dim(`the data is not checked: ${textOf(error)}`)}\n`)
    return {}
  }
}

function printPublished(type: string, published: PublishedEvent, options: GlobalOptions): Promise<void> {
  const { id, correlationid, duplicate } = published
  return printResult(options, published, [
    duplicate ? `${id} is already on the log; nothing was written` : `published ${type}`,
    dim(`  id           ${id}`),
    dim(`  correlation  ${correlationid}`),
    dim(`  to see what follows: ${tidings} trace ${correlationid}`),
  ])
}

/** Publishes an event from its text. @throws E_EVENT_INVALID, E_NOT_FOUND, E_EVENT_TOO_LARGE, E_LOG_UNAVAILABLE */
export async function publishText(
  bus: Bus,
  type: string,
  json: string,
  options: PublishOptions,
): Promise<PublishedEvent> {
  if (json.length > maxLength) throw tooLarge()
  const { id, correlation, target } = options
  const draft = {
    type,
    data: parseJson(json),
    ...(id !== undefined && { id }),
    ...(correlation !== undefined && { correlationid: await resolveCorrelation(bus, correlation) }),
    ...(target !== undefined && { target }),
  }
  const admitted = admit(draft, cliAdmission)
  await assertHosted(bus, [admitted])
  return bus.publish(admitted)
}

async function readStdin(): Promise<string> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
    length += chunk.length
    if (length > maxLength) throw tooLarge()
    chunks.push(chunk)
  }
  return new TextDecoder().decode(Buffer.concat(chunks))
}

const tooLarge = () => new TidingsError('E_EVENT_TOO_LARGE', `the data is larger than ${maxLength} bytes`)
