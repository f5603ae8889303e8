import { parseId, turnId } from '../bus/ids.ts'
import { shownTarget } from '../bus/tapped.ts'
import type { CloudEvent } from '../event.ts'
import { summarizeEvent } from './summarize.ts'
import { between, retriesText, usageOf, stackIn, workTime } from './outcome.ts'
import { shortId, shortIdOf } from './short-id.ts'
import { dim, paint, tidings } from './paint.ts'
import { elapsed, padOrShorten, preview, printable, shorten, usageText, displayWidth } from './text.ts'
import type { ModelQuestion, Author, CauseLink, Why } from './reasons.ts'

const typeWidth = 22
const instructionLines = 4

/** Reasons as lines for a terminal of this width, starting with the event to explain. */
export function renderWhy(why: Why, width: number): string[] {
  return treeLines(why, '', width)
}

const problems = {
  lost: 'which is no longer on the log',
  circle: 'which is shown above: these events claim to cause each other',
  shown: 'which is shown already',
  cut: 'and further causes that are left out',
} as const

function treeLines({ reasons, rest }: Why, above: string, width: number): string[] {
  const lines = reasons.flatMap((reason, i) =>
    linesOf(reason, reasons[i + 1], above, width, i === reasons.length - 1 && !rest),
  )
  if (!rest) return lines
  const text = `because of ${shortId(rest.id)}, ${problems[rest.is]}`
  return [...lines, `${dim(`${above}└─`)} ${shorten(text, width - above.length - 3)}`]
}

function linesOf(
  reason: CauseLink,
  cause: CauseLink | undefined,
  above: string,
  width: number,
  isLast: boolean,
): string[] {
  const { event, by, asked, also = [], more } = reason
  const { type, data } = event
  const target = shownTarget(event)
  const to = target === undefined || asked ? '' : ` → ${printable(target)}`
  const after = cause === undefined ? '' : `, ${elapsed(between(cause.event, event))} later`
  const room = width - above.length - typeWidth - 4 - displayWidth(shortIdOf(event))
  const text = shorten(`${authorText(by)}${to}${after}`, room)
  const head = `${dim(above + (isLast ? '└─' : '├─'))} ${paint(type, padOrShorten(type, typeWidth))} ${text} ${dim(shortIdOf(event))}`
  const spent = [...usageText(usageOf([event])), ranText(event) ?? [], retriesText([event]) ?? []].flat()
  const details = asked
    ? askedLines(asked)
    : [
        ...(data === null ? [] : [summarizeEvent(event)]),
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
      : [
          dim(
            `${below}and ${more.toLocaleString('en')} causes more: ${tidings} show ${shortIdOf({ ...event, id: turnOf(event) })}`,
          ),
        ]),
  ]
}

/** How long a worker took; the rest of the time since the request it was in the queue. */
function ranText(event: CloudEvent): string | undefined {
  const ms = workTime(event)
  return ms === undefined ? undefined : `ran ${elapsed(ms)}`
}

function turnOf({ id }: CloudEvent): string {
  const { task, version } = parseId(id)!
  return turnId(task, version)
}

function authorText({ kind, name, version, hash, turn, retryOf }: Author): string {
  const program = version === undefined ? '' : ` v${version}`
  const code = hash === undefined ? '' : ` ${printable(hash).slice(0, 8)}`
  return `${kind === 'other' ? '' : `${kind} `}${printable(name)}${program}${code}${turn === undefined ? '' : `, turn ${turn}`}${retryOf === undefined ? '' : `, retry of ${shortId(retryOf, name)}`}`
}

function askedLines({ model, instructions, settings, messages, spent }: ModelQuestion): string[] {
  const lines = instructions?.split('\n').filter(line => line.trim() !== '') ?? []
  const shown = lines.slice(0, instructionLines)
  const usage = spent ? usageText(spent) : ['no answer yet']
  return [
    `${padOrShorten('model', 13)} ${[printable(model), ...usage].join(', ')}`,
    ...shown.map(
      (line, i) =>
        `${padOrShorten(i === 0 ? 'instructions' : '', 13)} ${printable(line)}${i === instructionLines - 1 && lines.length > instructionLines ? ' …' : ''}`,
    ),
    ...(settings ? [`${padOrShorten('settings', 13)} ${preview(settings)}`] : []),
    ...messages.map(
      ({ role, content }) =>
        `${padOrShorten(role, 13)} ${content === undefined ? '(no longer on the log)' : preview(content)}`,
    ),
  ]
}
