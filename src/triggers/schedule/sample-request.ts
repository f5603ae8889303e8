import type { Bus } from '../../bus/bus.ts'
import type { CloudEvent } from '../../event.ts'

/* A door that nobody outside can knock at is asked by a signal: whoever runs the trigger hears it. */

const type = 'trigger.sample'

/** Asks whoever runs the trigger of this name for a sample. */
export const requestSample = (name: string) => async (bus: Bus) => bus.signal({ type, subject: name, data: null })

/** Calls back with the signal. Returns the unsubscribe. */
export const onSampleRequest = (bus: Bus, name: string, callback: (asked: CloudEvent) => void) =>
  bus.onSignal([{ types: [type] }], asked => {
    if (asked.subject === name) callback(asked)
  })
