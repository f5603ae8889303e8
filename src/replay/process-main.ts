import { writeSync } from 'node:fs'
import { errorData, textOf, TidingsError } from '../errors.ts'
import type { ProgramDefinition } from '../tasks/program.ts'
import { Programs } from '../tasks/programs.ts'
import { watchNondeterminism } from './nondeterminism.ts'
import { asRefusal, closeFiles, isolate } from './isolation.ts'
import { progressPipe, type Definitions, type FromProcess, type TurnProgress, type ToProcess } from './messages.ts'
import { Replayer } from './replayer.ts'

// Bound before the app can replace them.
const send = process.send!.bind(process)
const end = (process as unknown as { reallyExit(code: number): never }).reallyExit.bind(process)
const post = (message: FromProcess) => void send(message)
const reportProgress = (progress: TurnProgress) => void writeSync(progressPipe, `${JSON.stringify(progress)}\n`)

// Deep enough to include the user's line below the frames of Tidings.
Error.stackTraceLimit = 25
process.on('disconnect', () => end(0))
// Errors outside of a turn do not concern the replay.
process.on('uncaughtException', thrown => console.error(`thrown outside of any turn: ${textOf(asRefusal(thrown))}`))

async function load(module: string, stuck: readonly string[]): Promise<{ replay: Replayer; definitions: Definitions }> {
  isolate()
  const app = ((await import(module)) as { default?: App }).default
  if (app?.kind !== 'app')
    throw new TidingsError(
      'E_APP_INVALID',
      `the default export of ${module} is not an app: export the result of app({ … })`,
    )
  closeFiles()
  watchNondeterminism()
  const definitions = app.agents.flatMap(({ needs }) => (needs ? [[needs.key, needs.document]] : []))
  const replay = new Replayer(new Programs(app.programs), { stuck, onTurn: reportProgress })
  return { replay, definitions: Object.fromEntries(definitions) }
}

interface App {
  readonly kind?: string
  readonly programs: readonly ProgramDefinition[]
  readonly agents: readonly {
    readonly needs?: { readonly key: string; readonly document: unknown }
  }[]
}

// Messages are processed one at a time, in order of arrival.
let loaded: Awaited<ReturnType<typeof load>> | undefined
let work = Promise.resolve()

process.on('message', (message: ToProcess) => {
  work = work.then(() => handle(message))
  work.catch(error => post({ kind: 'failed', error: errorData(asRefusal(error), 'E_APP_INVALID') }))
})

async function handle(message: ToProcess): Promise<void> {
  if (message.kind === 'load') loaded = await load(message.module, message.stuck)
  const { replay, definitions } = loaded!
  if (message.kind === 'finish') return post({ kind: 'outcome', outcome: replay.finish(), definitions })
  if (message.kind === 'definition') replay.pin(message.task, message.definition)
  else if (message.kind === 'snapshot') await replay.resume(message.task, message.state)
  else if (message.kind === 'events')
    for (const { position, event } of message.events) await replay.add(position, event)
  post({ kind: 'ready' })
}
