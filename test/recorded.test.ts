import { existsSync, globSync } from 'node:fs'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, sep } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import first from '../examples/first/app.ts'
import { Library } from '../examples/report-desk/library/library.ts'
import { members } from '../examples/report-desk/members.ts'
import { answerAll, writeSample } from '../examples/report-desk/sample.ts'
import { agent, app, offlineModel, start, type App, type Draft } from '../src/index.ts'
import { AcceptedDivergences } from '../src/replay/accept.ts'
import { Replayer } from '../src/replay/replayer.ts'
import { writeSlice } from '../src/replay/slice-write.ts'
import { sourceFromBus, sourceFromFile } from '../src/replay/source.ts'
import { Programs } from '../src/tasks/programs.ts'
import { until } from '../src/testing/wait.ts'
import { eventsOf } from './lib/world.ts'

/*
 * Stories that were recorded from the examples decide as they did. Where they are meant to decide otherwise now, record
 * them anew, and look at the difference: TIDINGS_RECORD=1 npx vitest run test/recorded.test.ts
 */

interface Story {
  /** The folder of the example. */
  readonly of: string
  /** The app as it is now. `folder` is for what its tools need on disk. */
  readonly app: (folder: string) => Promise<App>
  readonly asked: readonly Draft[]
  /** Type of the event that ends what was asked. */
  readonly end: string
}

const question = (text: string): Draft => ({ type: 'question.asked', data: { question: text, text } })
const mail: Draft = {
  type: 'email.received',
  data: {
    messageId: '<1@example.org>',
    from: { name: 'Ann', address: 'ann@example.org' },
    to: [{ name: '', address: 'desk@example.net' }],
    cc: [],
    subject: 'question',
    text: 'When do boats leave the harbour?\n',
    headers: [],
    attachments: [],
    envelope: { from: 'ann@example.org', to: ['desk@example.net'] },
  },
}

const stories: Record<string, Story> = {
  first: {
    of: 'first',
    app: async () => first,
    asked: ['When is the shop open on Sunday?', 'Is the shop open on Monday?', 'What is a lighthouse?'].map(question),
    end: 'question.answered',
  },
  'report desk': {
    of: 'report-desk',
    app: reportDesk,
    asked: [
      question('How often does the lamp of the lighthouse turn?'),
      question('What does the keeper do in fog, and when do boats leave?'),
      question('What is the airspeed velocity of an unladen swallow?'),
      mail,
    ],
    end: 'report.completed',
  },
}

async function reportDesk(folder: string): Promise<App> {
  const library = new Library(join(folder, 'library.sqlite'))
  onTestFinished(() => library.close())
  writeSample(join(folder, 'docs'))
  await library.refresh(join(folder, 'docs'))
  return app({ name: 'report-desk', use: members(library, 'reports', offlineModel()).use })
}

async function temporary(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'tidings-recorded-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  return folder
}

const examples = join(import.meta.dirname, '../examples')
const recordedIn = (example: string) => join(examples, example, 'recorded')

async function record({ of, app, asked, end }: Story): Promise<void> {
  const folder = await temporary()
  const running = await start(await app(folder), {
    home: join(folder, 'home'),
    bus: 'sqlite',
    only: ['agents', 'tools', 'models'],
  })
  const ending = new AbortController()
  const approving = answerAll(running.bus, ending.signal)
  const before = process.cwd()
  // What is written while it runs is named by a path that is the same everywhere.
  process.chdir(folder)
  try {
    for (const draft of asked) {
      const { correlationid } = await running.bus.publish(draft)
      const isDone = async () => (await eventsOf(running, correlationid)).some(({ type }) => type === end)
      await until(isDone, { within: 20_000 })
    }
    await until(async () => (await running.bus.driver.listGroups()).every(({ lag }) => lag === 0))
    await mkdir(recordedIn(of), { recursive: true })
    await writeSlice(sourceFromBus(running.bus, { all: true }), join(recordedIn(of), 'story.jsonl.gz'), { force: true })
  } finally {
    process.chdir(before)
    ending.abort()
    await approving
    await running.stop()
  }
}

async function replayed(file: string, { programs }: App) {
  const replay = new Replayer(new Programs(programs))
  for await (const { position, event } of sourceFromFile(file).events()) await replay.add(position, event)
  return replay.finish()
}

describe.for(Object.entries(stories))('the story of %s', ([, story]) => {
  const folder = recordedIn(story.of)
  const accepted = join(folder, 'accepted.json')

  test('is decided as it was recorded', async () => {
    if (process.env.TIDINGS_RECORD) await record(story)
    const files = globSync('*.jsonl.gz', { cwd: folder })
    expect(files).not.toEqual([])
    const meant = existsSync(accepted) ? AcceptedDivergences.read(accepted) : new AcceptedDivergences()
    for (const file of files) {
      const outcome = await replayed(join(folder, file), await story.app(await temporary()))
      expect(outcome.tasks).toBeGreaterThanOrEqual(story.asked.length)
      expect(outcome.skipped).toEqual([])
      expect(outcome.divergences.filter(each => !meant.accepts(each))).toEqual([])
    }
  })
})

test('a story that is decided differently fails', async () => {
  const other = agent('helper', { model: offlineModel(), instructions: 'Answer in rhymes.', tools: first.tools })
  const changed = app({ use: [...first.agents.filter(({ name }) => name !== other.name), other] })
  const file = join(recordedIn('first'), 'story.jsonl.gz')
  const outcome = await replayed(file, changed)
  expect(new Set(outcome.divergences.map(({ program }) => program))).toEqual(new Set(['helper']))
  expect(outcome.diverged).toBeGreaterThanOrEqual(stories.first!.asked.length)
})

test('every recorded story has a test', () => {
  const recorded = new Set(globSync('*/recorded/*.jsonl*', { cwd: examples }).map(file => file.split(sep)[0]))
  expect(recorded).toEqual(new Set(Object.values(stories).map(({ of }) => of)))
})
