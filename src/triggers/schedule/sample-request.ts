import type { Bus } from '../../bus/bus.ts'
import type { CloudEvent } from '../../event.ts'

/* A schedule has no outside to send a sample from, so a signal asks the worker that runs it. */

const type = 'trigger.sample'

/** Asks the worker that runs this trigger to publish a sample. */
export const requestSample = (name: string) => async (bus: Bus) => bus.signal({ type, subject: name, data: null })

/** Returns the function that unsubscribes. */
export const onSampleRequest = (bus: Bus, name: string, callback: (asked: CloudEvent) => void) =>
  bus.onSignal([{ types: [type] }], asked => {
    if (asked.subject === name) callback(asked)
  })
