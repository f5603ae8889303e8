import { parseId, turnId } from '../bus/ids.ts'
import type { CloudEvent } from '../event.ts'
import { gist } from './gist.ts'
import { between, retriesText, spentBy, stackIn } from './outcome.ts'
import { shortId } from './short-id.ts'
import { dim, elapsed, fit, paint, preview, printable, shorten, spentText, widthOf } from './text.ts'
import type { Asked, Author, Reason, Why } from './why.ts'

const typeWidth = 22
const instructionLines = 4

/** Reasons as lines for a terminal of this width, the event that was asked for first. */
export function renderWhy(why: Why, width: number): string[] {
  return treeLines(why, '', width)
}

const problems = {
  lost: 'which is not on the log any more',
  circle: 'which is above: these events claim to cause each other',
  shown: 'which is shown already',
  cut: 'and more that is left out',
} as const

function treeLines({ reasons, rest }: Why, above: string, width: number): string[] {
  const lines = reasons.flatMap((reason, i) =>
    linesOf(reason, reasons[i + 1], above, width, i === reasons.length - 1 && !rest),
  )
  if (!rest) return lines
  const text = `because of ${shortId(rest.id)}, ${problems[rest.is]}`
  return [...lines, `${dim(`${above}└─`)} ${shorten(text, width - above.length - 3)}`]
}

function linesOf(reason: Reason, cause: Reason | undefined, above: string, width: number, isLast: boolean): string[] {
  const { event, by, asked, also = [], more } = reason
  const { type, target, data } = event
  const to = target === undefined || asked ? '' : ` → ${printable(target)}`
  const after = cause === undefined ? '' : `, ${elapsed(between(cause.event, event))} later`
  const room = width - above.length - typeWidth - 4 - widthOf(shortId(event.id))
  const told = shorten(`${authorText(by)}${to}${after}`, room)
  const head = `${dim(above + (isLast ? '└─' : '├─'))} ${paint(type, fit(type, typeWidth))} ${told} ${dim(shortId(event.id))}`
  const spent = [...spentText(spentBy([event])), retriesText([event]) ?? []].flat()
  const details = asked
    ? askedLines(asked)
    : [
        ...(data === null ? [] : [gist(event)]),
        ...(stackIn(event)
          .stack?.split('\n')
          .map(line => `  ${printable(line)}`) ?? []),
        ...(spent.length > 0 ? [spent.join(', ')] : []),
      ]
  const guide = `${above}${isLast ? ' ' : '│'}    `
  const below = `${above}${isLast ? ' ' : '│'}  `
  return [
    head,
    ...details.filter(Boolean).map(line => dim(`${guide}${shorten(line, width - guide.length)}`)),
    ...also.flatMap(other => [dim(`${below}also`), ...treeLines(other, below, width)]),
    ...(more === undefined
      ? []
      : [dim(`${below}and ${more.toLocaleString('en')} causes more: tidings show ${shortId(turnOf(event))}`)]),
  ]
}

/** Id of the turn that an event is, or that emitted it. */
function turnOf({ id }: CloudEvent): string {
  const { task, version } = parseId(id)!
  return turnId(task, version)
}

function authorText({ kind, name, version, hash, turn, retryOf }: Author): string {
  const program = version === undefined ? '' : ` v${version}`
  const code = hash === undefined ? '' : ` ${printable(hash).slice(0, 8)}`
  return `${kind === 'other' ? '' : `${kind} `}${printable(name)}${program}${code}${turn === undefined ? '' : `, turn ${turn}`}${retryOf === undefined ? '' : `, retry of ${shortId(retryOf)}`}`
}

function askedLines({ model, instructions, messages, spent }: Asked): string[] {
  const lines = instructions?.split('\n').filter(line => line.trim() !== '') ?? []
  const shown = lines.slice(0, instructionLines)
  const told = spent ? spentText(spent) : ['no answer yet']
  return [
    `${fit('model', 13)} ${[printable(model), ...told].join(', ')}`,
    ...shown.map(
      (line, i) =>
        `${fit(i === 0 ? 'instructions' : '', 13)} ${printable(line)}${i === instructionLines - 1 && lines.length > instructionLines ? ' …' : ''}`,
    ),
    ...messages.map(
      ({ role, content }) =>
        `${fit(role, 13)} ${content === undefined ? '(not on the log any more)' : preview(content)}`,
    ),
  ]
}
