import { parentPort, workerData } from 'node:worker_threads'
import { errorData, TidingsError } from '../errors.ts'
import type { ProgramDefinition } from '../tasks/program.ts'
import { Programs } from '../tasks/programs.ts'
import { isolate } from './isolation.ts'
import { Replay } from './replay.ts'
import type { Definitions, FromThread, ThreadData, ToThread } from './thread.ts'

const post = (message: FromThread) => parentPort!.postMessage(message)
// Deep enough to reach the user's line through ours.
Error.stackTraceLimit = 25

async function load(): Promise<{ replay: Replay; definitions: Definitions }> {
  const { module } = workerData as ThreadData
  isolate()
  const app = ((await import(module)) as { default?: App }).default
  if (app?.kind !== 'app') throw new TidingsError('E_APP_INVALID', `${module} has a default export that is no app`)
  const definitions = app.agents.flatMap(({ needs }) => (needs ? [[needs.key, needs.document]] : []))
  return {
    replay: new Replay(new Programs(app.programs)),
    definitions: Object.fromEntries(definitions),
  }
}

interface App {
  readonly kind?: string
  readonly programs: readonly ProgramDefinition[]
  readonly agents: readonly {
    readonly needs?: { readonly key: string; readonly document: unknown }
  }[]
}

/** One after the other, in the order in which they came. */
let work = load().then(loaded => {
  post({ kind: 'ready' })
  return loaded
})

parentPort!.on('message', (message: ToThread) => {
  work = work.then(async loaded => {
    const { replay, definitions } = loaded
    if (message.kind === 'finish') post({ kind: 'outcome', outcome: replay.finish(), definitions })
    else if (message.kind === 'definition') replay.pin(message.task, message.definition)
    else if (message.kind === 'snapshot') await replay.resume(message.task, message.state)
    else for (const { position, event } of message.events) await replay.add(position, event)
    if (message.kind !== 'finish') post({ kind: 'ready' })
    return loaded
  })
  work.catch(failed)
})
work.catch(failed)

function failed(error: unknown) {
  post({ kind: 'failed', error: errorData(error, 'E_APP_INVALID') })
}
