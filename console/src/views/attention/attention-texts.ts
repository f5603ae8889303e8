import { pausedBy } from '../../../../src/bus/pauses.ts'
import { shortId } from '../../../../src/trace/short-id.ts'
import type { Attention } from '../../api/attention.ts'
import { durationText } from '../../ui/format.ts'

export type AttentionKind = Attention['kind']

/** What the kinds of entries are called, and what has happened. */
export const kindTexts: Readonly<Record<AttentionKind, { readonly name: string; readonly about: string }>> = {
  failed: {
    name: 'Failed tasks',
    about: 'The task ended with an error. After the cause is fixed, retry it; if there is nothing to fix, discard it.',
  },
  dead: {
    name: 'Dead letters',
    about:
      'The delivery was given up: its event is not valid, or no program handles it. Deploy code that handles it and deliver it again, or discard it.',
  },
  parked: {
    name: 'Parked',
    about:
      'The delivery is kept until somebody decides. It is never retried by itself: the code must fit again, or what is paused must be resumed.',
  },
  delayed: {
    name: 'Delayed',
    about:
      'The delivery was attempted several times and waits for its next attempt. It goes on by itself if the cause goes away.',
  },
  overdue: {
    name: 'Overdue timers',
    about:
      'The timer of a task fired, and no worker woke the task. Start a worker of its app; if one runs, its log says why.',
  },
  unarmed: {
    name: 'Without a timer',
    about: 'The task waits for a time, but the log keeps no timer for it. A worker of its app repairs this by itself.',
  },
  unhosted: {
    name: 'Unhosted',
    about: 'A task waits for something that no worker hosts. Start an app that hosts it, or cancel the task.',
  },
}

/** What distinguishes an entry in a list, and names it in the URL. The tasks that an entry stands for change. */
export function keyOf(item: Attention): string {
  if (item.kind === 'failed') return `failed ${item.program} ${item.code}`
  return isDelivery(item) ? `#${item.id}` : `${item.kind} ${item.task}`
}

/** Whether a consumer group set an event aside. */
export const isDelivery = (item: Attention): item is Extract<Attention, { reason: { code: string } }> =>
  'attempts' in item

/** What it is about: a program, a group, a target. */
export function subjectOf(item: Attention): string {
  if (item.kind === 'failed') return item.program
  if (item.kind === 'unhosted') return `${item.what} ${item.target}`
  if (!isDelivery(item)) return `task ${shortId(item.task)}`
  const paused = item.key === undefined ? undefined : pausedBy(item.key)
  return paused ? `${paused.kind} ${paused.name}` : item.group.replace(/^(?:app|tool|model)\//, '')
}

export const codeOf = (item: Attention): string | undefined =>
  item.kind === 'failed' ? item.code : isDelivery(item) ? item.reason.code : undefined

/** Why it is on the list. */
export function whyOf(item: Attention, now: number): string {
  if (item.kind === 'failed') return item.message
  if (item.kind === 'unhosted')
    return item.waiting === 1 ? `1 call waits: ${item.reason}` : `${item.waiting} calls wait: ${item.reason}`
  if (isDelivery(item)) return item.reason.message
  return `due ${durationText(Math.max(0, Math.floor((now - item.due) / 1_000) * 1_000))} ago`
}

/** Since when, ms since the epoch. */
export const timeOf = (item: Attention): number =>
  item.kind === 'failed' ? item.at : isDelivery(item) ? Date.parse(item.event.time) : item.due
