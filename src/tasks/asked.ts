import type { CloudEvent } from '../event.ts'

/** To whom the ends of tasks are addressed that `ask` requested. No agent can have this name. */
export const askTarget = '@ask'

/** A further message to a running task. Its subject is the task, its data `{ message }`. */
export const messageType = 'agent.message'

/** The answer to a message that has a `replyto`: it is part of the task's conversation, or an input of its code. */
export const messageTakenType = 'agent.message.taken'

/**
 * When a task that was asked from outside is cancelled, in ms since the epoch; null for never. The runtime does it, because the process that
 * asked may have ended. A task that another one called is cancelled by its caller.
 */
export const deadlineOfAsk = ({ replyto, deadline }: CloudEvent): number | null =>
  replyto === askTarget && deadline !== undefined ? Date.parse(deadline) : null
