import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stripVTControlCharacters } from 'node:util'
import { afterEach, beforeEach, expect, onTestFinished, test } from 'vitest'
import { openBus } from '../../src/runtime/environment.ts'
import { testOnTerminal } from '../../test/lib/terminal.ts'
import { answerAll, expectQuoted, quotationsIn, writeSample } from './sample.ts'

/* The story as a user meets it: processes, their output, and files. */

const timeout = 60_000
let home: string
let docs: string
let running: Story[]

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'report-desk-'))
  docs = join(home, 'docs')
  writeSample(docs)
  running = []
})

afterEach(async () => {
  await Promise.all(running.map(story => story.end('SIGKILL')))
  rmSync(home, { recursive: true, force: true })
})

/** A process of the story, with all that it said so far. */
class Story {
  readonly child: ChildProcess
  output = ''
  readonly ended: Promise<number | null>

  constructor(file: string, args: readonly string[]) {
    const env = {
      ...process.env,
      TIDINGS_HOME: home,
      TIDINGS_PORT: '0',
      TIDINGS_SMTP_PORT: '0',
      TIDINGS_MODEL: 'offline',
    }
    this.child = spawn(file, args, { env, cwd: join(import.meta.dirname, '../..') })
    for (const stream of [this.child.stdout!, this.child.stderr!])
      stream.on('data', chunk => (this.output += stripVTControlCharacters(String(chunk))))
    this.ended = new Promise(resolve => this.child.once('close', resolve))
    running.push(this)
  }

  /** Resolves with the first line that matches, said already or not. */
  said(pattern: RegExp): Promise<string> {
    return new Promise((resolve, reject) => {
      const look = () => {
        const line = this.output
          .split('\n')
          .slice(0, -1)
          .find(each => pattern.test(each))
        if (line !== undefined) resolve(line)
      }
      this.child.stdout!.on('data', look)
      look()
      void this.ended.then(() => reject(new Error(`it ended without saying ${pattern}:\n${this.output}`)))
    })
  }

  end(signal: NodeJS.Signals): Promise<number | null> {
    this.child.kill(signal)
    return this.ended
  }
}

const node = (...args: string[]) => new Story(process.execPath, args)
const main = join(import.meta.dirname, 'main.ts')
const desk = (...args: string[]) => node(main, '--docs', docs, ...args)

async function reportOf(question: string) {
  const story = desk('--ask', question, '--once')
  expect(await story.ended, story.output).toBe(0)
  const file = story.output.trimEnd().split('\n').at(-1)!
  return {
    report: readFileSync(file, 'utf8'),
    page: readFileSync(file.replace(/md$/, 'html'), 'utf8'),
    output: story.output,
  }
}

test('every sentence of the report is in the file that it names', { timeout }, async () => {
  const { report, page, output } = await reportOf('How often does the lamp of the lighthouse turn?')
  expect(report).toContain('The lamp of the lighthouse turns once in thirty seconds.')
  expectQuoted(report, docs)
  expect(page).toContain('<h1>How often')
  for (const agent of ['planner', 'researcher 1', 'researcher 2', 'writer', 'reviewer', 'publisher'])
    expect(output).toContain(agent)
})

test('a question that the documents do not answer is reported, not invented', { timeout }, async () => {
  const { report } = await reportOf('What is the airspeed velocity of an unladen swallow?')
  expect(report).toContain('The documents do not answer this question.')
  expect(quotationsIn(report)).toEqual([])
})

test('a folder of the user is read whatever its files are called, and skipped files are reported', {
  timeout,
}, async () => {
  writeFileSync(join(docs, 'history.md'), 'The harbour was built by fishermen in 1820.\n')
  writeFileSync(join(docs, 'plan.docx'), 'no text')
  const { report, output } = await reportOf('Who built the harbour?')
  expect(report).toContain('The harbour was built by fishermen in 1820.')
  expect(output).toContain('not read (neither Markdown, text, HTML nor PDF): plan.docx\n')
})

test('a desk that was killed continues with the question after a restart', { timeout }, async () => {
  const first = desk('--ask', 'What does the keeper do in fog?')
  await first.said(/researcher 1 .*library\.search/)
  await first.end('SIGKILL')
  expect(first.output).not.toContain('report.completed')

  // Nobody sits at it: the editor answers elsewhere.
  const second = desk()
  const bus = await openBus({ home, bus: 'sqlite' })
  onTestFinished(() => bus.driver.close())
  const ending = new AbortController()
  const approving = answerAll(bus, ending.signal)
  const done = await second.said(/report\.completed/)
  ending.abort()
  await approving
  expect(await second.end('SIGINT')).toBe(0)
  const report = readFileSync(/\S+\.md$/.exec(done)![0], 'utf8')
  expect(report).toMatch(/horn of the lighthouse every two minutes: \[1\]\n\n- one long blast\n- two/)
})

test('an auditor in another process sees all events; other processes do not', { timeout }, async () => {
  const first = desk()
  await first.said(/reports/)
  // Of documents of one's own nothing is known that could be suggested.
  expect(first.output).toContain('"question":"Your question?"')
  const cli = join(import.meta.dirname, '../../src/cli/main.ts')
  const audit = node(cli, 'run', join(import.meta.dirname, 'audit.ts'), '--only', 'agents,tools')
  await audit.said(/audit/)
  first.child.stdin!.write('When do boats leave the harbour?\n')
  await first.said(/audit .*agent\.task\.completed/)
  expect(await audit.end('SIGINT')).toBe(0)
  expect(await first.end('SIGINT')).toBe(0)
  const [line] = readFileSync(join(home, 'audit.jsonl'), 'utf8').split('\n')
  expect(JSON.parse(line!)).toMatchObject({ type: 'question.asked', question: 'When do boats leave the harbour?' })
})

testOnTerminal('whoever sits at the terminal is shown the draft, and says whether it goes out', async () => {
  const ask = '--ask "How often does the lamp of the lighthouse turn?"'
  const story = new Story('script', [
    '-qfec',
    `stty columns 200; exec ${process.execPath} ${main} --docs ${docs} ${ask}`,
    '/dev/null',
  ])
  await story.said(/hash [0-9a-f]+/)
  expect(story.output).toMatch(/May this go out\? {2}How often[^]*## Short answer[^]*in thirty seconds\./)
  story.child.stdin!.write('n too short\n')
  await story.said(/report\.withheld .*E_APPROVAL_DENIED: denied by desk\/.*: too short/)
  story.child.stdin!.write('When do boats leave the harbour?\n')
  await story.said(/May this go out\? {2}When do boats/)
  story.child.stdin!.write('y\n')
  const done = await story.said(/report\.completed/)
  expect(readFileSync(/\S+\.md/.exec(done)![0], 'utf8')).toMatch(/ Approved by desk\/\S+\._\n$/)
  story.child.stdin!.write('\u0003')
  expect(await story.ended).toBe(0)
})

test('an impossible request is refused with a reason', { timeout }, async () => {
  const refusals = [
    [['--once'], '--once needs --ask'],
    [['--ask', ' '], '--ask needs a question'],
    [['--docs', '/nowhere/at/all'], '"/nowhere/at/all" is not a folder'],
  ] as const
  const refused = async ([args, reason]: (typeof refusals)[number]) => {
    const story = desk(...args)
    expect(await story.ended).toBe(1)
    expect(story.output).toContain(reason)
  }
  await Promise.all(refusals.map(refused))
})
