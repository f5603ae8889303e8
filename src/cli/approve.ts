import type { Bus } from '../bus/bus.ts'
import { TidingsError } from '../errors.ts'
import { parseId } from '../bus/ids.ts'
import { approvalType } from '../tasks/approval.ts'
import { answerApproval } from '../tasks/approval-answer.ts'
import { findApproval } from '../tasks/approval-find.ts'
import { resolveId } from '../trace/index/resolve-id.ts'
import { isNamedBy } from '../trace/short-id.ts'
import { dim } from '../trace/paint.ts'
import { printable } from '../trace/text.ts'
import { approvalEvents, cliIdentity, openApprovalsIn } from './approvals.ts'
import { withExistingLog } from './log.ts'
import { printResult, print, type GlobalOptions } from './output.ts'

interface AnswerOptions extends GlobalOptions {
  comment?: string
  content?: string
}

export const approve = (id: string, options: AnswerOptions) => answer(id, 'grant', options)

export const deny = (id: string, options: AnswerOptions) => answer(id, 'deny', options)

/** Prints the request, and answers exactly that. */
async function answer(text: string, decision: 'grant' | 'deny', options: AnswerOptions): Promise<void> {
  const { comment, json } = options
  await withExistingLog(async bus => {
    const id = await resolveApproval(bus, text)
    const { data, target = '', replyto = '' } = (await findApproval(bus, id)).request
    const { what, hash, form } = data
    // Complete: a person must see everything that they approve.
    const request = [
      printable(`${target}  ${id}`),
      ...(JSON.stringify(what, null, 2) ?? 'null').split('\n').map(line => `  ${printable(line)}`),
      ...(form ? [dim(printable(`  fields: ${JSON.stringify(form.properties)}`))] : []),
      dim(printable(`  asked by ${replyto}  hash ${hash}`)),
    ]
    if (!json) await print(request.join('\n'))
    const by = cliIdentity()
    const content = options.content === undefined ? undefined : contentIn(options.content)
    const said = { ...(comment !== undefined && { comment }), ...(content !== undefined && { content }) }
    const decided = { id, decision, hash, by, source: '/cli', ...said }
    const { at } = (await answerApproval(bus, decided)).data
    await printResult(options, { id, decision, by, at, what, hash }, [
      `${decision === 'grant' ? 'granted' : 'denied'} by ${printable(by)}`,
    ])
  })
}

/** @throws E_USAGE */
function contentIn(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new TidingsError('E_USAGE', '--content must be JSON, such as \'{"day":"Friday"}\'')
  }
}

/** Accepts a full id or the end of one; open requests come first. @throws E_USAGE, E_NOT_FOUND, E_AMBIGUOUS */
async function resolveApproval(bus: Bus, text: string): Promise<string> {
  if (parseId(text)) return text
  const events = await approvalEvents(bus)
  const open = await openApprovalsIn(bus, events)
  const newest = open.map(({ id }) => id).toReversed()
  const matchesText = ({ id }: { id: string }) => isNamedBy(id, text)
  const find = (): readonly { id: string }[] => {
    const found = open.filter(matchesText)
    return found.length > 0 ? found : events.filter(event => event.type === approvalType && matchesText(event))
  }
  return resolveId(text, 'open approval', find, () => newest).id
}
