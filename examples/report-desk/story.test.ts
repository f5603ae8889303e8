import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { expectQuoted, quotationsIn, writeSample } from './sample.ts'

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

  constructor(...args: string[]) {
    const env = {
      ...process.env,
      TIDINGS_HOME: home,
      TIDINGS_PORT: '0',
      TIDINGS_SMTP_PORT: '0',
      TIDINGS_MODEL: 'offline',
    }
    this.child = spawn(process.execPath, args, { env, cwd: join(import.meta.dirname, '../..') })
    for (const stream of [this.child.stdout!, this.child.stderr!]) stream.on('data', chunk => (this.output += chunk))
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

const desk = (...args: string[]) => new Story(join(import.meta.dirname, 'main.ts'), '--docs', docs, ...args)

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

test('a question becomes a report whose every sentence stands in the file it names', { timeout }, async () => {
  const { report, page, output } = await reportOf('How often does the lamp of the lighthouse turn?')
  expect(report).toContain('The lamp of the lighthouse turns once in thirty seconds.')
  expectQuoted(report, docs)
  expect(page).toContain('<h1>How often')
  for (const agent of ['planner', 'researcher 1', 'researcher 2', 'writer', 'reviewer', 'publisher'])
    expect(output).toContain(agent)
})

test('what the documents do not answer is said, not invented', { timeout }, async () => {
  const { report } = await reportOf('What is the airspeed velocity of an unladen swallow?')
  expect(report).toContain('The documents do not answer this question.')
  expect(quotationsIn(report)).toEqual([])
})

test('a desk that was killed goes on with the question when it starts again', { timeout }, async () => {
  const first = desk('--ask', 'What does the keeper do in fog?')
  await first.said(/researcher 1 .*library\.search/)
  await first.end('SIGKILL')
  expect(first.output).not.toContain('report.completed')

  const second = desk()
  const done = await second.said(/report\.completed/)
  expect(await second.end('SIGINT')).toBe(0)
  const report = readFileSync(/\S+\.md$/.exec(done)![0], 'utf8')
  expect(report).toMatch(/horn of the lighthouse every two minutes: \[1\]\n\n- one long blast\n- two/)
})

test('an auditor in another process sees what happens; nobody else is told of it', { timeout }, async () => {
  const first = desk()
  await first.said(/reports/)
  const cli = join(import.meta.dirname, '../../src/cli/main.ts')
  const audit = new Story(cli, 'run', join(import.meta.dirname, 'audit.ts'), '--only', 'agents,tools')
  await audit.said(/audit/)
  first.child.stdin!.write('When do boats leave the harbour?\n')
  await first.said(/audit .*agent\.task\.completed/)
  expect(await audit.end('SIGINT')).toBe(0)
  expect(await first.end('SIGINT')).toBe(0)
  const [line] = readFileSync(join(home, 'audit.jsonl'), 'utf8').split('\n')
  expect(JSON.parse(line!)).toMatchObject({ type: 'question.asked', question: 'When do boats leave the harbour?' })
})

test.for([
  [['--once'], '--once needs --ask'],
  [['--ask', ' '], '--ask needs a question'],
  [['--docs', '/nowhere/at/all'], '/nowhere/at/all is not a folder'],
] as const)('%s is refused with a reason', { timeout }, async ([args, reason]) => {
  const story = desk(...args)
  expect(await story.ended).toBe(1)
  expect(story.output).toContain(reason)
})
