import { readFileSync } from 'node:fs'
import { createContext, runInContext } from 'node:vm'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createEvent, type CloudEvent } from '../event.ts'
import { redactor } from './redact.ts'
import { secrets } from './redact-secrets.ts'
import { StreamRedactor } from './redact-stream.ts'
import { aSecret, planted, type Planted } from '../../test/lib/secrets.ts'

const plain = redactor()
const jsonOf = (data: unknown) => JSON.stringify(plain.event(createEvent({ type: 'order.paid', data })))

/** Ways in which a secret comes along. */
const settings: readonly ((secret: string) => unknown)[] = [
  secret => secret,
  secret => ({ deep: [{ of: { all: `what is it? ${secret}` } }] }),
  secret => ({ [`key ${secret}`]: 1 }),
  secret => `line one\n${secret}\nline three`,
  secret => `\t${secret}, and more.`,
  secret => `"${secret}"`,
  secret => `KEY=${secret}; export KEY`,
  secret => `<td>${secret}</td>`,
  secret => `\`${secret}\``,
  secret => `[0m[32m${secret}[0m`,
  secret => `鍵は「${secret}」です`,
  secret => JSON.stringify({ text: `before\n${secret}\nafter` }),
  secret => JSON.stringify(JSON.stringify({ text: `before\n${secret}`, more: [secret] })),
]

test('there is a sample of every secret that is known by its shape', () => {
  expect(Object.keys(planted).toSorted()).toEqual(secrets.map(({ name }) => name).toSorted())
})

describe.each(Object.entries(planted))('%s', (name, secret) => {
  test('survives nowhere, and is named', () => {
    fc.assert(
      fc.property(secret, fc.constantFrom(...settings), ({ text, clear }, setting) => {
        const json = jsonOf(setting(text))
        expect(json).toContain('[redacted ')
        for (const part of clear) expect(json).not.toContain(part)
      }),
    )
    const [{ text }] = fc.sample(secret, 1) as [Planted]
    expect(plain.text(text)).toContain(`[redacted ${name}]`)
  })

  test('stays away when it is redacted again', () => {
    fc.assert(
      fc.property(secret, fc.constantFrom(...settings), ({ text }, setting) => {
        const once = plain.event(createEvent({ type: 'order.paid', data: setting(text) }))
        expect(plain.event(once)).toBe(once)
      }),
    )
  })

  test('does not come through in pieces', () => {
    const aText = fc.string({ unit: fc.constantFrom(...'abc ,."(\n=:/-_鍵'.split('')) })
    fc.assert(
      fc.property(
        secret,
        aText,
        aText,
        fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1 }),
        ({ text }, before, after, sizes) => {
          const whole = `${before} ${text} ${after}`
          expect(inPieces(whole, sizes, plain)).toBe(plain.text(whole))
        },
      ),
    )
  })
})

/** What is said of a text that comes in pieces of these sizes, over and over. */
function inPieces(whole: string, sizes: readonly number[], rules = plain): string {
  let said = ''
  const stream = new StreamRedactor(rules, text => (said += text))
  for (let at = 0, n = 0; at < whole.length; at += sizes[n++ % sizes.length]!)
    stream.push(whole.slice(at, at + sizes[n % sizes.length]!))
  stream.end()
  return said
}

describe('values that are not secret', () => {
  const innocent = [
    'task-01990000-0000-7000-8000-000000000000', 'risk-assessment-of-2026-Q3-and-later', 'Bearer of bad news', 'bearer tokens',
    'Basic research', 'Basic English', 'http://localhost:4110/events', 'see https://a.example:8080, or ann@example.org',
    'eyJpZCI6MTIzNDU2Nzg5MCwiYSI6Ind4eXoifQ', 'sk-SK', 'sk-folding-cube-spinner-element', 'sha256-9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08',
    '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----', 'Authorization: see below', 'git@github.com:nodejs/node.git',
    'ghp_short', 'AKIA is a prefix', 'const npm_config = process.env.npm_config_registry', 'access_key: none', 'https://ann@example.org/x',
  ] // biome-ignore format: one list

  test('stays as it is', () => {
    for (const text of innocent) expect(plain.text(text)).toBe(text)
    const event = createEvent({ type: 'order.paid', data: { innocent, count: 3, none: null, yes: true } })
    expect(plain.event(event)).toBe(event)
  })

  test('is all of the documentation but what is about secrets', () => {
    for (const file of ['README.md', 'docs/wire-format.md', 'examples/report-desk/README.md', 'CHANGELOG.md']) {
      const text = readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8')
      expect(plain.text(text)).toBe(text)
    }
  })

  test('is any JSON of words, ids and numbers: the same object', () => {
    const word = fc.oneof(
      fc.lorem(),
      fc.uuid(),
      fc.emailAddress(),
      fc.webUrl(),
      fc.base64String(),
      fc.date().map(String),
    )
    fc.assert(
      fc.property(fc.object({ key: word, values: [word, fc.integer(), fc.boolean(), fc.constant(null)] }), data => {
        const event = createEvent({ type: 'order.paid', data })
        expect(plain.event(event)).toBe(event)
      }),
      { numRuns: 20 },
    )
  })
})

test('any text takes linear time, the worst that can be thought of too', () => {
  const size = 512 * 1024
  const pieces = [
    '-----BEGIN PRIVATE KEY-----', '-----BEGIN ', '-', 'eyJ', 'eyJ.', 'eyJaaaaaaaa.eyJ', 'sk-', 'sk-a-', 'ghp_', 'SG.', 'SG.aaaaaaaaaaaaaaaa.',
    '://', '://a:', '://a:b', 'a:', 'bearer ', 'Bearer  ', 'basic ', 'Basic aaaa', 'authorization: bearer ', 'authorization:', '"\'\\ ',
    'secret_access_key=', 'secret_access_key="', '_authToken=', 'AKIA', 'IQoJb3JpZ2', 'SUA', 'glpat-', 'xoxb-', 'hooks.slack.com/services/', 'A', 'a', ' ',
    '\n', '\\', '%', '[0m', '鍵',
  ] // biome-ignore format: one list
  const texts = pieces.flatMap(piece => [
    piece.repeat(size / piece.length),
    `-----BEGIN PRIVATE KEY-----${piece.repeat(size / piece.length)}`,
    `postgres://user:${piece.repeat(size / piece.length)}`,
    `authorization: bearer ${piece.repeat(size / piece.length)}`,
  ])
  // Each takes a few hundredths of a second; the bound ends what would go on for minutes.
  const context = createContext({ redact: plain })
  for (const text of texts) runInContext('redact.text(text)', Object.assign(context, { text }), { timeout: 10_000 })
}, 60_000)

test('streamed text is passed on one word late', () => {
  const said: string[] = []
  const stream = new StreamRedactor(plain, text => said.push(text))
  for (const word of ['Hel', 'lo wor', 'ld, go', 'od mor', 'ning 世', '界']) stream.push(word)
  expect(said.join('')).toBe('Hello world, good morning 世界')
})

test('a word without an end is not kept forever, and a secret without an end is not printed', () => {
  let said = ''
  const stream = new StreamRedactor(plain, text => (said += text))
  const blob = 'QUJD'.repeat(64 * 1024)
  for (let at = 0; at < blob.length; at += 997) stream.push(blob.slice(at, at + 997))
  expect(said.length).toBeGreaterThan(blob.length - 20_000)
  stream.push(' ')
  said = ''
  const secret = `-----BEGIN PRIVATE KEY-----\n${'MIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n'.repeat(2_000)}`
  for (let at = 0; at < secret.length; at += 997) stream.push(secret.slice(at, at + 997))
  stream.end()
  expect(said).toBe('[redacted private-key]')
})

describe('declared paths', () => {
  const card = { card: { number: '4111111111111111', holder: 'Ann' }, items: [{ pin: 1 }, { pin: 2, password: 'x' }] }
  const redacted = (paths: string[], data: unknown, type = 'order.paid') =>
    redactor({ paths }).event(createEvent({ type, data })).data

  test('name one place, each of a list, or any depth', () => {
    expect(redacted(['data.card.number'], card)).toEqual({
      ...card,
      card: { number: '[redacted data.card.number]', holder: 'Ann' },
    })
    expect(redacted(['data.items.*.pin'], card)).toEqual({
      ...card,
      items: [{ pin: '[redacted data.items.*.pin]' }, { pin: '[redacted data.items.*.pin]', password: 'x' }],
    })
    expect(redacted(['data.items.1'], card)).toMatchObject({ items: [{ pin: 1 }, '[redacted data.items.1]'] })
    expect(
      redacted(['data.**.password'], { password: 'a', b: { password: { c: 1 } }, d: [[{ password: 2 }]] }),
    ).toEqual({
      password: '[redacted data.**.password]',
      b: { password: '[redacted data.**.password]' },
      d: [[{ password: '[redacted data.**.password]' }]],
    })
    expect(redacted(['data'], 'x')).toBe('[redacted data]')
  })

  test('count for the types that they name', () => {
    expect(redacted(['order.*:data.pin'], { pin: 1 })).toEqual({ pin: '[redacted data.pin]' })
    expect(redacted(['email.received:data.pin'], { pin: 1 })).toEqual({ pin: 1 })
  })

  test('leave alone what is absent or null, and what a runtime lives by', () => {
    const data = { card: null, other: 'x' }
    expect(redacted(['data.card.number', 'data.none', 'data.other.deeper'], data)).toBe(data)
    const request = { definition: 'definition/1', prev: null, messages: [], first: { event: 'x' }, window: 200 }
    expect(redacted(['data.*', 'data.**.event'], request, 'model.invoke')).toBe(request)
  })

  test('reach values that become JSON only when they are written', () => {
    const data = { toJSON: () => ({ card: { number: 4111 } }) }
    expect(redacted(['data.card.number'], data)).toEqual({ card: { number: '[redacted data.card.number]' } })
  })

  test('reach the subject, and the inputs that a turn repeats', () => {
    const rules = redactor({ paths: ['subject', 'data.pin'] })
    expect(rules.event(createEvent({ type: 'a', subject: 'Ann', data: null })).subject).toBe('[redacted subject]')
    const input = createEvent({ type: 'order.paid', data: { pin: 1 } })
    const turn = createEvent({ type: 'task.turn', data: { inputs: [input], emits: [], pin: 'stays' } })
    const { inputs, ...rest } = rules.event(turn).data as { inputs: CloudEvent[] }
    expect(inputs[0]!.data).toEqual({ pin: '[redacted data.pin]' })
    expect(rest).toEqual({ emits: [], pin: 'stays' })
    for (const data of [null, 'x', {}, { inputs: [null] }])
      expect(rules.event(createEvent({ type: 'task.turn', data })).data).toEqual(data)
  })

  test.each(['', 'card.number', 'data..x', 'data.**', 'data.**.a.**.b', 'subject.x', 'Order:data.x'])(
    'refuse what is none: %j',
    path => expect(() => redactor({ paths: [path] })).toThrow('is not a path to redact'),
  )
})

describe('declared patterns', () => {
  const staff = redactor({ patterns: [{ name: 'staff-number', match: /\bE\d{6}\b/i }] })

  test('are looked for in every text', () => {
    const event = createEvent({
      type: 'a',
      subject: 'about e123456',
      data: { of: ['E123456', { E654321: 1 }, 'E1234567'] },
    })
    expect(staff.event(event)).toMatchObject({
      subject: 'about [redacted staff-number]',
      data: { of: ['[redacted staff-number]', { '[redacted staff-number]': 1 }, 'E1234567'] },
    })
    expect(staff.event(staff.event(event))).toEqual(staff.event(event))
  })

  test('leave alone what may look like them: ids in subjects, references of requests', () => {
    const digits = redactor({ patterns: [{ name: 'digits', match: /\d{7}/ }] })
    const task = '01990000-0000-7000-8000-000000000000.k3v9x0q2ab:0000012'
    const cancelled = createEvent({ type: 'call.cancelled', subject: task, data: null })
    expect(digits.event(cancelled)).toBe(cancelled)
    const request = createEvent({ type: 'model.invoke', data: { definition: 'definition/1234567', prev: task } })
    expect(digits.event(request)).toBe(request)
  })

  test('may be all there is', () => {
    const only = redactor({ patterns: [{ name: 'pin', match: /PIN \d{4}/ }], defaults: false })
    const token = fc.sample(aSecret, 1)[0]!.text
    expect(only.text(`PIN 1234 ${token}`)).toBe(`[redacted pin] ${token}`)
  })

  test('come in pieces, as long as they are no longer than what is held back', () => {
    const phrase = redactor({ patterns: [{ name: 'phrase', match: /correct horse (\w+ ){2}staple/ }] })
    const text = `${'before '.repeat(200)}correct horse very good staple${' after'.repeat(200)}`
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }), sizes => {
        expect(inPieces(text, sizes, phrase)).toBe(phrase.text(text))
      }),
    )
  })

  test.each([
    ['all', /.+/, 'narrow the pattern'],
    ['letters', /[a-z]{5,}/, 'narrow the pattern'],
    ['nothing', /x*/, 'narrow the pattern'],
    ['no name', /x/, 'is not a name of a pattern'],
  ])('refuse what would redact the marks, or has no name: %s', (name, match, why) => {
    expect(() => redactor({ patterns: [{ name, match }] })).toThrow(why)
  })
})

test('a subject stays as short as one must be', () => {
  const marks = redactor({ patterns: [{ name: 'cross', match: /\bx\b/ }] })
  const event = marks.event(createEvent({ type: 'a', subject: 'x '.repeat(120), data: null }))
  expect(event.subject!.length).toBe(256)
  expect(marks.event(event)).toBe(event)
})

test('two keys that become alike stay two', () => {
  const [one, two] = fc.sample(planted['github-token']!, 2)
  expect(plain.value({ [one!.text]: 1, [two!.text]: 2 })).toEqual({
    '[redacted github-token]': 1,
    '[redacted github-token] 2': 2,
  })
})

test('many keys that become alike take linear time', () => {
  const keys = Array.from({ length: 60_000 }, (_, i) => [`AKIA${String(i).padStart(16, '0')}`, i])
  const clean = plain.value(Object.fromEntries(keys)) as object
  expect(Object.keys(clean).at(-1)).toBe('[redacted aws-key-id] 60000')
})

test('what is nested too deep for the log is looked at only so far', () => {
  const data: unknown = JSON.parse('['.repeat(100_000) + ']'.repeat(100_000))
  const event = createEvent({ type: 'order.paid', data })
  expect(redactor({ paths: ['data.**.pin'] }).event(event)).toBe(event)
})

test('a secret deep within objects takes linear time', () => {
  const [{ text }] = fc.sample(planted['github-token']!, 1) as [Planted]
  const deep = (value: unknown) => Array.from({ length: 60 }).reduce(of => ({ of, n: 1 }), value)
  expect(plain.value(deep(text))).toEqual(deep('[redacted github-token]'))
})

test('what is text in some encoding is redacted in bytes; what is not stays', () => {
  const { text, clear } = fc.sample(planted['github-token']!, 1)[0]!
  for (const encoding of ['utf8', 'latin1'] as const) {
    const bytes = Buffer.from(`Zürich: ${text}`, encoding)
    expect(Buffer.from(plain.bytes(bytes)).toString(encoding)).toBe('Zürich: [redacted github-token]')
    expect(Buffer.from(plain.bytes(Buffer.concat([Buffer.of(0, 255, 128), bytes]))).includes(clear[0]!)).toBe(false)
  }
  fc.assert(fc.property(fc.uint8Array(), bytes => plain.bytes(bytes) === bytes))
})

test('in a fork, events and turns are redacted as such, and ids stay what they are', () => {
  const rules = redactor({ paths: ['order.paid:data.card'], patterns: [{ name: 'digits', match: /\d{7}/ }] })
  const paid = createEvent({ id: 't:0000001:0', type: 'order.paid', data: { card: 4, text: 'no 1234567' } })
  const turn = { program: 'p', inputs: [paid], emits: [{ id: 't:0000001:0' }], state: { seen: '1234567' } }
  const data = {
    start: paid,
    state: '{"seen":"1234567"}',
    turns: [{ turn, emitted: [paid] }],
    inputs: [paid],
    reissue: [],
  }
  const fork = createEvent({ id: 'fork/1', type: 'agent.fork', data })
  const clean = rules.event(fork)
  expect(clean.data).toMatchObject({ start: { id: 't:0000001:0', data: { card: '[redacted data.card]' } } })
  expect(JSON.stringify(clean.data)).not.toMatch(/1234567|"card":4/)
  expect(JSON.stringify(clean.data).match(/t:0000001:0/g)).toHaveLength(5)
  expect(rules.event(clean)).toBe(clean)
})
