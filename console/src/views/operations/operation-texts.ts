import { countFull } from '../../ui/format.ts'
import type { IconName } from '../../ui/icon.tsx'
import { shortId } from '../../../../src/trace/short-id.ts'
import type { OperationAction, OperationCommand } from '../../api/operations.ts'

interface ActionText {
  /** On buttons. */
  readonly name: string
  readonly icon: IconName
  readonly isDangerous?: true
  /** What it does, in a sentence or two. */
  readonly about: string
  /** What `done` counts. */
  readonly done: string
}

export const actionTexts: Readonly<Record<OperationAction, ActionText>> = {
  cancel: {
    name: 'Cancel',
    icon: 'cancel',
    isDangerous: true,
    about: 'Open calls and the tasks they started are cancelled too. Callers get E_TASK_CANCELLED.',
    done: 'cancelled',
  },
  retry: {
    name: 'Retry',
    icon: 'retry',
    about:
      'Each task continues as a new task: its answers are kept, the calls that failed are made again, and the last turn is decided by today’s code.',
    done: 'retried',
  },
  release: {
    name: 'Deliver again',
    icon: 'retry',
    about: 'Each entry leaves the list and its group gets the event again. If the cause is still there, it comes back.',
    done: 'delivered again',
  },
  discard: {
    name: 'Discard',
    icon: 'close',
    isDangerous: true,
    about: 'The entries leave the list and are not processed again. Their events stay on the log.',
    done: 'discarded',
  },
  pause: {
    name: 'Pause',
    icon: 'pause',
    isDangerous: true,
    about: 'What runs now goes on. What comes then waits, for all tenants, until somebody resumes.',
    done: 'paused',
  },
  resume: {
    name: 'Resume',
    icon: 'play',
    about: 'What was waiting is delivered now.',
    done: 'resumed',
  },
  redrive: {
    name: 'Redrive',
    icon: 'retry',
    about: 'The events from outside are published again under new correlations, and today’s code processes them.',
    done: 'published again',
  },
  fork: {
    name: 'Fork',
    icon: 'fork',
    about: 'A new task starts with the history up to this turn. The original stays as it is.',
    done: 'forked',
  },
  replay: {
    name: 'Replay',
    icon: 'play',
    about: 'Today’s code decides the recorded turns again, without any effect, and the decisions are compared.',
    done: 'replayed',
  },
}

/** `12 tasks`, `1 delivery`; of commands on different things, `12 entries`. */
export function countOf(commands: readonly OperationCommand[], count: number): string {
  const nouns = commands.map(nounOf)
  const isMixed = new Set(nouns.map(([one]) => one)).size > 1
  const [one, many] = isMixed ? ['entry', 'entries'] : nouns[0]!
  return `${countFull(count)} ${count === 1 ? one : many}`
}

function nounOf(command: OperationCommand): readonly [one: string, many: string] {
  if (command.action === 'pause' || command.action === 'resume') return [command.kind, `${command.kind}s`]
  if (command.action === 'redrive') return ['event', 'events']
  if ('ids' in command && command.action === 'discard') return ['entry', 'entries']
  const isAboutDeliveries = 'delivery' in command || 'deliveries' in command || command.action === 'release'
  return isAboutDeliveries ? ['delivery', 'deliveries'] : ['task', 'tasks']
}

const fieldTexts: Readonly<Record<string, string>> = { agent: 'of', code: 'with', type: 'started by', text: 'with the text' } // biome-ignore format: one line

/** What a command is about: `tasks of helper with E_TOOL_THREW since 2h`, `task k3v9x0`, `delivery #17`. */
export function selectionText(command: OperationCommand): string {
  if (command.action === 'pause' || command.action === 'resume') return `${command.kind} ${command.name}`
  if (command.action === 'fork') return `task ${shortId(command.task)} from turn ${command.turn}`
  const { task, tasks, delivery, deliveries, ids, correlation, since, until } = command as Readonly<
    Record<string, unknown>
  >
  const [, noun] = nounOf(command)
  if (typeof task === 'string') return `task ${shortId(task)}`
  if (typeof delivery === 'string') return `delivery #${delivery}`
  if (typeof correlation === 'string') return `correlation ${shortId(correlation)}`
  if (Array.isArray(ids))
    return ids.length === 1 ? `${nounOf(command)[0]} ${shortId(String(ids[0]))}` : countOf([command], ids.length)
  const filter = tasks ?? deliveries ?? { since, until }
  const fields = Object.entries(filter as Record<string, string | undefined>).filter(([, value]) => value !== undefined)
  return [noun, ...fields.map(([name, value]) => `${fieldTexts[name] ?? name} ${value}`)].join(' ')
}

/** Whether a worker can count what the command is about before anything happens. */
export const canCount = ({ action }: OperationCommand): boolean =>
  action !== 'pause' && action !== 'resume' && action !== 'fork'
