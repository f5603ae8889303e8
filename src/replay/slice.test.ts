import { createHash } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import fc from 'fast-check'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { createEvent, type CloudEvent } from '../event.ts'
import type { StoredEvent } from '../bus/driver.ts'
import { emitId, taskId, turnId } from '../bus/ids.ts'
import { redactor } from '../bus/redact.ts'
import { collect } from '../testing/wait.ts'
import type { Turn } from '../tasks/program.ts'
import { digest, turnType } from '../tasks/turn.ts'
import { readSlice } from './slice-read.ts'
import { writeSlice } from './slice-write.ts'
import { sourceFromFile, type RecordedSource } from './source.ts'

const correlation = '01900000-0000-7000-8000-000000000001'
const task = taskId(correlation, 'planner', 'start')

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tidings-slice-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const made = (draft: Partial<CloudEvent>): CloudEvent => ({
  ...createEvent({ type: 'a.b', correlationid: correlation, data: null }),
  ...draft,
})

const sourceOf = (events: readonly CloudEvent[], documents: Record<string, string> = {}): RecordedSource => ({
  async *events() {
    for (const [i, event] of events.entries()) yield { position: { partition: i % 2, offset: 3 * i + 1 }, event }
  },
  document: async key => documents[key],
})

function turn(version: number, inputs: CloudEvent[], emitted: CloudEvent[], more: Partial<Turn> = {}): CloudEvent {
  const emits = emitted.map(({ id, type, data }) => ({ id, type, hash: digest(data) }))
  const data = { program: 'planner', programVersion: 1, programHash: 'x', version, at: 0, inputs, emits, ...more }
  return made({ type: turnType, id: turnId(task, version), data })
}

const said = (version: number, data: unknown, type = 'model.invoke') =>
  made({ id: emitId(task, version, 0), type, data })

/** JSON has one zero. */
const asWritten = (value: unknown): unknown => JSON.parse(JSON.stringify(value))

async function readBack(path: string): Promise<{ events: StoredEvent[]; source: RecordedSource }> {
  const source = sourceFromFile(path)
  return { events: await collect(source.events()), source }
}

describe('a slice file', () => {
  const text = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.constantFrom('a\u2028b\u2029c', '\r\n', '\u0085', '\ud83d\ude00'),
  )
  const events = fc.array(
    fc
      .record({
        type: fc.constantFrom('a.b', 'order.paid'),
        data: fc.oneof(text, fc.jsonValue({ stringUnit: 'binary' }).map(asWritten)),
      })
      .map(made),
    { minLength: 1, maxLength: 20 },
  )

  test.for(['jsonl', 'jsonl.gz', 'jsonl.zst'])('.%s returns what was written', async ending => {
    let n = 0
    await fc.assert(
      fc.asyncProperty(events, async written => {
        const path = join(folder, `p${n++}.${ending}`)
        await writeSlice(sourceOf(written), path)
        const { events } = await readBack(path)
        expect(events).toEqual(
          written.map((event, i) => ({ position: { partition: i % 2, offset: 3 * i + 1 }, event })),
        )
      }),
      { numRuns: 40 },
    )
  })

  test('contains each document once, before the first event that names it', async () => {
    const path = join(folder, 'documents.jsonl')
    const named = { definition: 'definition/1' }
    const first = said(1, named)
    const written = [
      turn(1, [made({ id: 'start' })], [first]),
      first,
      said(2, named),
      said(3, { definition: 'definition/gone' }),
    ]
    const summary = await writeSlice(sourceOf(written, { 'definition/1': '{"a":"\u2028"}' }), path)
    expect(summary).toEqual({ events: 4, turns: 1, documents: 1, redacted: 0, missing: 1 })
    const lines = await collect(readSlice(path))
    expect(lines.map(line => ('document' in line ? line.document : line.event.id))).toEqual([
      turnId(task, 1), 'definition/1', emitId(task, 1, 0), emitId(task, 2, 0), emitId(task, 3, 0),
    ]) // biome-ignore format: one list
    const { source } = await readBack(path)
    expect(await source.document('definition/1')).toBe('{"a":"\u2028"}')
    expect(await source.document('definition/gone')).toBeUndefined()
  })

  test('is not written for an empty selection', async () => {
    const path = join(folder, 'nothing.jsonl')
    await expect(writeSlice(sourceOf([]), path)).rejects.toMatchObject({ code: 'E_NOT_FOUND' })
    await expect(collect(readSlice(path))).rejects.toMatchObject({ code: 'E_NOT_FOUND' })
  })

  test('is not overwritten without force', async () => {
    const path = join(folder, 'there.jsonl')
    await writeSlice(sourceOf([made({ id: 'first' })]), path)
    await expect(writeSlice(sourceOf([made({ id: 'second' })]), path)).rejects.toMatchObject({ code: 'E_USAGE' })
    expect((await readBack(path)).events[0]!.event.id).toBe('first')
    await writeSlice(sourceOf([made({ id: 'second' })]), path, { force: true })
    expect((await readBack(path)).events[0]!.event.id).toBe('second')
  })

  test('is removed if it could not be written completely', async () => {
    const path = join(folder, 'half.jsonl')
    const breaking: RecordedSource = {
      async *events() {
        for (let i = 0; i < 10_000; i++)
          yield { position: { partition: 0, offset: i + 1 }, event: made({ id: `e${i}` }) }
        throw new Error('the log went away')
      },
      document: async () => undefined,
    }
    await expect(writeSlice(breaking, path)).rejects.toThrow('the log went away')
    await expect(collect(readSlice(path))).rejects.toMatchObject({ code: 'E_NOT_FOUND' })
  })
})

describe('an incomplete slice file', () => {
  let whole: Buffer
  let zipped: Buffer

  beforeEach(async () => {
    const path = join(folder, 'whole.jsonl.gz')
    await writeSlice(sourceOf(Array.from({ length: 20 }, (_, n) => made({ id: `e${n}`, data: { n } }))), path, {
      force: true,
    })
    zipped = await readFile(path)
    whole = gunzipSync(zipped)
  })

  const reading = async (bytes: Uint8Array | string, ending = 'jsonl') => {
    const path = join(folder, `broken.${ending}`)
    await writeFile(path, bytes)
    return collect(readSlice(path))
  }

  test('is detected wherever it was truncated', async () => {
    // Without its last line feed it is whole.
    const places = fc.integer({ min: 0, max: whole.length - 2 })
    const cut = async (bytes: Buffer, ending?: string) => {
      await expect(reading(bytes, ending)).rejects.toMatchObject({ code: 'E_SLICE_INVALID' })
    }
    await fc.assert(
      fc.asyncProperty(places, at => cut(whole.subarray(0, at))),
      { numRuns: 200 },
    )
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: zipped.length - 1 }), at => cut(zipped.subarray(0, at), 'jsonl.gz')),
      { numRuns: 100 },
    )
  })

  test('is detected whichever byte was changed', async () => {
    const place = fc.integer({ min: 0, max: whole.length - 2 })
    await fc.assert(
      fc.asyncProperty(place, fc.integer({ min: 1, max: 255 }), async (at, by) => {
        const changed = Buffer.from(whole)
        changed[at] = changed[at]! ^ by
        await expect(reading(changed)).rejects.toMatchObject({ code: 'E_SLICE_INVALID' })
      }),
      { numRuns: 200 },
    )
  })

  test('is reported with the line', async () => {
    const lines = whole.toString().split('\n')
    const without = (n: number) => lines.toSpliced(n - 1, 1).join('\n')
    const instead = (n: number, line: string) => lines.with(n - 1, line).join('\n')
    await expect(reading(instead(4, 'garbage'))).rejects.toThrow(/broken\.jsonl, line 4: expected a JSON object/)
    await expect(reading(instead(4, '{"position":1}'))).rejects.toThrow('line 4: expected an event')
    await expect(reading(instead(4, '7'))).rejects.toThrow('line 4: expected a JSON object')
    await expect(reading(without(4))).rejects.toThrow('line 21: counts 20 events')
    await expect(reading(instead(4, lines[4]!))).rejects.toThrow('line 22: the digest does not match')
    await expect(reading(without(22))).rejects.toThrow('line 22: the file is truncated here')
    await expect(reading(`${whole.toString()}${lines[3]}\n`)).rejects.toThrow('line 23: this line follows the end')
    await expect(reading(without(1))).rejects.toThrow('line 1: the file is not a slice')
    await expect(reading(instead(1, '{"tidings":"slice","version":3}'))).rejects.toThrow(
      'line 1: the format version is 3, and this version of Tidings reads 1 and 2',
    )
    await expect(reading('')).rejects.toThrow('line 1: the file is truncated here')
    await expect(reading(whole, 'jsonl.gz')).rejects.toThrow(
      'line 1: the file is truncated or damaged: incorrect header',
    )
  })
})

test('a slice of version 1, whose positions are numbers, is read', async () => {
  const head = '{"tidings":"slice","version":1,"time":"2026-11-01T00:00:00.000Z"}\n'
  const line = `${JSON.stringify({ position: 7, event: made({ id: 'old' }) })}\n`
  const sha256 = createHash('sha256').update(head).update(line).digest('hex')
  const path = join(folder, 'version-1.jsonl')
  await writeFile(path, `${head}${line}${JSON.stringify({ end: { events: 1, documents: 0, sha256 } })}\n`)
  expect(await collect(readSlice(path))).toMatchObject([
    { position: { partition: 0, offset: 7 }, event: { id: 'old' } },
  ])
})

describe('redaction at export', () => {
  const rules = redactor({ patterns: [{ name: 'x', match: /hunter2/ }] })
  const secret = made({ id: 'start', data: { text: 'it is hunter2' } })
  const told = said(1, { input: 'hunter2!' }, 'tool.invoke')
  const clean = said(2, { input: 'nothing' }, 'tool.invoke')
  const log = [
    secret,
    turn(1, [secret], [told], { state: { seen: 'hunter2' } }),
    told,
    turn(2, [made({ id: 'more' })], [clean], { stateHash: '0123456789abcdef' }),
    clean,
  ]
  const exported = async (events: readonly CloudEvent[], documents: Record<string, string> = {}) => {
    const path = join(folder, 'redacted.jsonl')
    const summary = await writeSlice(sourceOf(events, documents), path, { redactor: rules, force: true })
    return {
      summary,
      text: await readFile(path, 'utf8'),
      events: (await readBack(path)).events.map(each => each.event),
    }
  }

  test('covers inputs and states in turns, and updates their digests', async () => {
    const { summary, text, events } = await exported(log)
    expect(text).not.toContain('hunter2')
    expect(summary.redacted).toBe(3)
    const turns = events.filter(event => event.type === turnType).map(event => event.data as Turn)
    expect(turns[0]!.inputs[0]).toEqual(events[0])
    expect(turns[0]!.state).toEqual({ seen: '[redacted x]' })
    expect(turns[0]!.emits[0]!.hash).toBe(digest({ input: '[redacted x]!' }))
    expect(turns[1]!.emits[0]!.hash).toBe(digest(clean.data))
    expect(turns[1]).not.toHaveProperty('stateHash')
  })

  test('covers documents', async () => {
    const asked = said(1, { definition: 'definition/1' })
    const { text } = await exported([asked], { 'definition/1': '{"instructions":"say hunter2"}' })
    expect(text).toContain('say [redacted x]')
  })

  test('does not change a task in which nothing was redacted', async () => {
    const plain = [turn(1, [made({ id: 'start' })], [clean], { stateHash: '0123456789abcdef' }), clean]
    const { summary, events } = await exported(plain)
    expect(events).toEqual(plain)
    expect(summary.redacted).toBe(0)
  })
})
