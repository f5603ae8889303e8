import { admit } from '../bus/admit.ts'
import type { Bus, PublishedEvent } from '../bus/bus.ts'
import { parseJson } from '../bus/decode.ts'
import { TidingsError } from '../errors.ts'
import { assertHosted } from '../tasks/hosts.ts'
import { dim } from '../trace/text.ts'
import { resolveCorrelation, withLog } from './log.ts'
import { printResult, type GlobalOptions } from './output.ts'

export interface PublishOptions {
  id?: string
  correlation?: string
  target?: string
}

const cliAdmission = { source: '/cli', isOperator: true }
const maxLength = 4 * 1024 * 1024

/** `tidings publish TYPE JSON` */
export async function publishCommand(
  type: string,
  json: string | undefined,
  options: PublishOptions & GlobalOptions,
): Promise<void> {
  const data = json === '-' ? await readStdin() : (json ?? 'null')
  const published = await withLog(bus => publishText(bus, type, data, options))
  const { id, correlationid, duplicate } = published
  await printResult(options, published, [
    duplicate ? `${id} is already on the log; nothing was written` : `published ${type}`,
    dim(`  id           ${id}`),
    dim(`  correlation  ${correlationid}`),
    dim(`  to see what follows: tidings trace ${correlationid}`),
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
