/** To whom the ends of tasks are addressed that `ask` requested. No agent can have this name. */
export const askTarget = '@ask'

/** A further message to a running task. Its subject is the task, its data `{ message }`. */
export const messageType = 'agent.message'

/** The answer to a message that has a `replyto`: it is part of the task's conversation, or an input of its code. */
export const messageTakenType = 'agent.message.taken'
