/*
 * The report desk, in one process: `npm start`. Questions come on the command line, by POST /events, by e-mail, or are
 * typed in. Everything that happens is an event on the log in TIDINGS_HOME, so a desk that was killed continues where it was.
 */
import { statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { parseArgs, styleText } from 'node:util'
import { start, TidingsError, type CloudEvent, type RunningApp } from '../../src/index.ts'
import { answer, Editor } from './editor.ts'
import { Library } from './library/library.ts'
import type { Skipped } from './library/files.ts'
import { suggestion } from './suggestion.ts'
import { Live, plain, shown } from './terminal.ts'

const usage = `npm start                           wait for questions
npm start -- --ask "…"              ask one, and wait for more
npm start -- --ask "…" --once       ask one, let its report go out unseen, and end with the path of it
npm start -- --docs FOLDER          answer from your own documents (Markdown, text, HTML, PDF)`

const namesShown = 8
const checkout = join(import.meta.dirname, '../..')
const home = resolve(process.env.TIDINGS_HOME || '.tidings')

try {
  await main()
} catch (error) {
  complain(error)
  process.exit(1)
}

function complain(error: unknown) {
  console.error(styleText('red', (error as Error).message))
  if (error instanceof TidingsError) console.error(error.next)
}

async function main() {
  const { ask, once, docs, help } = options()
  if (help) return console.log(usage)
  await indexDocuments(resolve(docs ?? checkout), docs === undefined)
  // Imported here, because it opens the library, which is complete now.
  const { default: app } = await import('./app.ts')
  const module = new URL('app.ts', import.meta.url).href
  // A single question opens no port, so that it works beside a running desk.
  const desk = await start(app, { module, ...(once && { only: ['agents', 'tools', 'models'] }) })

  const ending = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.on(signal, () => {
      if (ending.signal.aborted) process.exit(130)
      console.log(styleText('dim', '\nstopping; unfinished work continues at the next start'))
      ending.abort()
    })

  const from = await desk.bus.driver.head()
  const editor = once || !process.stdin.isTTY ? undefined : new Editor(desk.bus, text => console.log(text))
  if (!once) introduce(desk, editor !== undefined, docs === undefined ? suggestion : 'Your question?')
  await editor?.recall(from)
  /** Questions from this terminal, whose reports are printed here. */
  const own = new Set<string>()
  if (ask !== undefined) own.add(await question(desk, ask))
  const typed = once ? undefined : createInterface({ input: process.stdin })
  typed?.on('line', line => void said(line).catch(complain))
  const said = async (line: string) => {
    if (line.trim() !== '' && !(await editor?.takes(line))) own.add(await question(desk, line))
  }

  let last: CloudEvent | undefined
  for await (const event of happenings(desk, from, ending.signal)) {
    await editor?.hear(event)
    if (once && event.type === 'approval.requested' && own.has(event.correlationid))
      await answer(desk.bus, event.id, (event.data as { hash: string }).hash, 'grant')
    if (!own.has(event.correlationid) || !isEnd(event)) continue
    if (event.type === 'report.completed') console.log(`\n${(event.data as Completed).markdown}`)
    last = event
    if (once) break
  }
  typed?.close()
  await desk.stop()
  if (once) conclude(last)
  process.exit()
}

interface Completed {
  readonly markdown: string
  readonly files: { readonly markdown: string }
}

/** The report, its absence, or a failure without a caller. */
function isEnd({ type, call }: CloudEvent): boolean {
  return ['report.completed', 'report.withheld'].includes(type) || (type === 'agent.task.failed' && call === undefined)
}

function options() {
  try {
    const { values } = parseArgs({
      options: {
        ask: { type: 'string' },
        once: { type: 'boolean', default: false },
        docs: { type: 'string' },
        help: { type: 'boolean', default: false },
      },
    })
    if (values.ask?.trim() === '') throw new Error('--ask needs a question')
    if (values.once && values.ask === undefined) throw new Error('--once needs --ask "…"')
    return values
  } catch (error) {
    throw new Error(`${(error as Error).message}\n\n${usage}`, { cause: error })
  }
}

/** In a folder that the user named, everything is read or reported. */
async function indexDocuments(root: string, isPackage: boolean) {
  if (!statSync(root, { throwIfNoEntry: false })?.isDirectory())
    throw new TidingsError('E_NOT_FOUND', `"${root}" is not a folder`)
  const library = new Library(join(home, 'library.sqlite'))
  const begun = performance.now()
  const progress = (done: number, all: number) => {
    if (process.stdout.isTTY) process.stdout.write(`\rreading documents ${done}/${all} `)
  }
  const { documents, passages, read, unreadable, skipped } = await library.refresh(root, { isPackage, progress })
  library.close()
  if (process.stdout.isTTY) process.stdout.write('\r\u001b[K')
  const seconds = ((performance.now() - begun) / 1000).toFixed(1)
  console.log(`${documents} documents in ${passages} passages from ${root} (${read} read, ${seconds} s)`)
  for (const { path, problem } of unreadable) console.log(styleText('yellow', `not readable: ${path}: ${problem}`))
  for (const line of notRead(skipped)) console.log(styleText('yellow', line))
  if (passages === 0) throw new TidingsError('E_NOT_FOUND', `"${root}" has no documents`)
}

/** One line per reason. */
function notRead(skipped: readonly Skipped[]): string[] {
  return [...Map.groupBy(skipped, ({ reason }) => reason)].map(([reason, all]) => {
    const more = all.length > namesShown ? ` and ${all.length - namesShown} more` : ''
    const names = all.slice(0, namesShown).map(({ path }) => plain(path))
    return `not read (${reason}): ${names.join(', ')}${more}`
  })
}

async function question(desk: RunningApp, text: string): Promise<string> {
  const { correlationid } = await desk.bus.publish({
    type: 'question.asked',
    source: '/report-desk',
    data: { question: text.trim() },
  })
  return correlationid
}

/** Prints events, and yields them. */
async function* happenings({ bus }: RunningApp, from: string, signal: AbortSignal): AsyncGenerator<CloudEvent> {
  const live = new Live()
  for await (const stored of bus.follow(from, [{ types: shown }], signal)) {
    const event = await bus.resolve(stored.event)
    const line = live.line(event)
    if (line !== undefined) console.log(line)
    yield event
  }
}

function conclude(last: CloudEvent | undefined) {
  if (!last) throw new Error('stopped before the report was complete; the next start continues it')
  const { files, error } = last.data as Partial<Completed> & { error?: { code: string; message: string } }
  if (!files) throw new Error(`there is no report: ${error?.code}: ${error?.message}`)
  console.log(files.markdown)
}

function introduce({ addresses, console: page, warnings }: RunningApp, isAsked: boolean, example: string) {
  const gateway = addresses.find(address => address.startsWith('http')) ?? ''
  const mail = addresses.find(address => address.startsWith('smtp')) ?? ''
  const line = (name: string, text: string) => console.log(`  ${styleText('bold', name.padEnd(10))}${text}`)
  const open = () => line('open', styleText(['bold', 'cyan'], page ?? gateway))
  open()
  console.log(`\n${styleText(['bold', 'green'], 'report-desk')} answers questions from documents, with citations\n`)
  line('type', 'a question here, and Enter')
  line('post', `curl --json '{"type":"question.asked","data":{"question":"${example}"}}' ${gateway}/events`)
  line('mail', `printf 'From: you@localhost\\nSubject: question\\n\\n${example}\\n' |`)
  line('', `  curl --crlf ${mail} --mail-from you@localhost --mail-rcpt desk@localhost -T -`)
  if (isAsked) line('approve', 'y, or n and why, when a draft is shown here')
  else line('approve', 'npm run tidings -- approvals, then npm run tidings -- approve ID')
  line('watch', `curl -N ${gateway}/events/stream`)
  line('reports', join(home, 'reports'))
  for (const { message } of warnings) console.log(styleText('yellow', `  ${message}`))
  open()
  console.log()
}
