import { parseId } from '../bus/ids.ts'
import { gist } from './gist.ts'
import { between, retriesText, spentBy, stackIn } from './outcome.ts'
import { dim, elapsed, fit, paint, preview, printable, shorten, spentText } from './text.ts'
import type { Asked, Author, Reason, Why } from './why.ts'

const typeWidth = 22
const instructionLines = 4

/** Reasons as lines for a terminal of this width, the event that was asked for first. */
export function renderWhy({ reasons, lost }: Why, width: number): string[] {
  const lines = reasons.flatMap((reason, i) =>
    linesOf(reason, reasons[i + 1], width, i === reasons.length - 1 && !lost),
  )
  if (lost === undefined) return lines
  const isCircle = reasons.some(({ event }) => event.id === lost)
  const problem = isCircle
    ? 'which is above: these events claim to cause each other'
    : 'which is not on the log any more'
  return [...lines, `${dim('└─')} ${shorten(printable(`because of ${lost}, ${problem}`), width - 3)}`]
}

function linesOf({ event, by, asked }: Reason, cause: Reason | undefined, width: number, isLast: boolean): string[] {
  const { type, target, data } = event
  const to = target === undefined || asked ? '' : ` → ${printable(target)}`
  const after = cause === undefined ? '' : `, ${elapsed(between(cause.event, event))} later`
  const told = shorten(`${authorText(by)}${to}${after}`, width - typeWidth - 4 - shortId(event.id).length)
  const head = `${dim(isLast ? '└─' : '├─')} ${paint(type, fit(type, typeWidth))} ${told} ${dim(shortId(event.id))}`
  const spent = [...spentText(spentBy([event])), retriesText([event]) ?? []].flat()
  const more = asked
    ? askedLines(asked)
    : [
        ...(data === null ? [] : [gist(event)]),
        ...(stackIn(event)
          .stack?.split('\n')
          .map(line => `  ${printable(line)}`) ?? []),
        ...(spent.length > 0 ? [spent.join(', ')] : []),
      ]
  const guide = isLast ? '     ' : '│    '
  return [head, ...more.filter(Boolean).map(line => dim(`${guide}${shorten(line, width - guide.length)}`))]
}

function authorText({ kind, name, version, hash, turn }: Author): string {
  const program = version === undefined ? '' : ` v${version}`
  const code = hash === undefined ? '' : ` ${printable(hash).slice(0, 8)}`
  return `${kind === 'other' ? '' : `${kind} `}${printable(name)}${program}${code}${turn === undefined ? '' : `, turn ${turn}`}`
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

/** The end of an id, by which `tidings why` finds the event. */
export function shortId(id: string): string {
  const made = parseId(id)
  return made ? id.slice(made.task.length - 4) : printable(id.slice(-8))
}
