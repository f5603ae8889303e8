import { gzipSync } from 'node:zlib'
import type { Random } from '../crashloop/random.ts'
import { slices, type Answer, type Api, type Turn } from './api.ts'
import {
  callHeader,
  when,
  type Call,
  type ExpectedRecord,
  type Header,
  type RawHeaders,
  type ScriptedReply,
  type ScriptedRequest,
} from './call.ts'
import { encoded, encodings, pieces, streamBytes, type StreamEvent } from './framing.ts'
import { otherCall } from './other.ts'
import { hexOf, jsonBytes, secretOf, textOf } from './texts.ts'

/** What is special about a call, and how many of 1,000 calls are of this kind. */
const weights = {
  plain: 450, interlocked: 80, encoded: 60, 'wrong-encoding': 8, 'encoded-request': 10, error: 80, 'odd-error': 25, 'stream-error': 20,
  malformed: 25, 'no-end': 12, reset: 35, headless: 12, garbage: 8, 'late-reset': 4, leave: 45, 'leave-early': 12, 'abort-upload': 12, slow: 8, continue: 12,
  'continue-refused': 6, upload: 12, 'large-request': 2, 'large-answer': 1, 'large-stream': 1, 'bad-request': 10, secret: 12, other: 50,
} // biome-ignore format: one table

export type Kind = keyof typeof weights

const total = Object.values(weights).reduce((sum, weight) => sum + weight, 0)

export function kindOf(random: Random): Kind {
  let left = random.next() * total
  for (const [kind, weight] of Object.entries(weights)) if ((left -= weight) < 0) return kind as Kind
  return 'plain'
}

export interface Basis {
  readonly n: number
  readonly conversation: number
  readonly tag: string
  readonly api: Api
  readonly turn: Turn
  readonly answer: Answer
}

const megabyte = 1024 * 1024
/** Of a longer request, a tap records the size and digest, but not what it says. */
const maxReadBytes = 8 * megabyte
const noText = 'NO-TEXT'

/** A call of this kind. */
export function callOf(random: Random, kind: Kind, basis: Basis): Call {
  const { n, conversation, tag } = basis
  if (kind === 'other') return { n, conversation, tag, ...otherCall(random, n) }
  const streams = new Set<Kind>(['interlocked', 'stream-error', 'malformed', 'no-end', 'large-stream', 'leave'])
  const turn = streams.has(kind)
    ? { ...basis.turn, stream: true }
    : kind === 'large-answer'
      ? { ...basis.turn, stream: false, streamUsage: false }
      : basis.turn
  const request = requestOf(random, kind, { ...basis, turn })
  const { reply, ...more } = replyOf(random, kind, { ...basis, turn })
  const isRead = request.chunks.reduce((sum, { length }) => sum + length, 0) <= maxReadBytes
  const expected = isRead && expectedOf(kind, { ...basis, turn }, reply)
  return {
    n,
    conversation,
    tag,
    kind,
    request,
    reply,
    ...more,
    ...(expected && { expected }),
    ...(kind.startsWith('large') && { isLarge: true }),
  }
}

/** The answer of a call of this kind. */
export function withText(random: Random, kind: Kind, answer: Answer): Answer {
  if (kind === 'secret') return { ...answer, text: `The key is ${secretOf(random, 'sk-proj-')}, and ${answer.text}` }
  if (kind === 'large-answer') return { ...answer, text: largeText(random, 20), calls: [], finish: 'stop' }
  if (kind === 'late-reset') return { ...answer, text: largeText(random, 1), calls: [], finish: 'stop' }
  // A stream frames each piece, so it is larger than its text.
  if (kind === 'large-stream') return { ...answer, text: largeText(random, 12), calls: [], finish: 'stop' }
  return answer
}

const largeText = (random: Random, megabytes: number) =>
  `${textOf(random)} ${hexOf(random, 1_000)}`
    .repeat(3_000)
    .slice(0, megabytes * megabyte)
    .padEnd(megabytes * megabyte, 'tide Größe 潮汐 ')

function requestOf(random: Random, kind: Kind, { n, api, turn }: Basis): ScriptedRequest {
  const secret = secretOf(random, api.name === 'messages' ? 'sk-ant-api03-' : 'sk-proj-')
  const body = api.request(turn) as Record<string, unknown>
  // A picture, where the API does not look.
  if (kind === 'large-request')
    body.metadata = { picture: Buffer.alloc(15 * megabyte, `${n} picture`).toString('base64') }
  const json =
    kind === 'bad-request'
      ? random.pick(['', '{"model": "gpt-5.2", "messages": [', '[]', 'null', '{"messages": 7}', '\u0000'])
      : jsonBytes(random, body)
  const isEncoded = kind === 'encoded-request'
  const bytes = isEncoded ? gzipSync(json) : Buffer.from(json)
  const isChunked = random.next() < 0.25
  const awaitsContinue = kind.startsWith('continue')
  const headers: Header[] = [
    ['Host', ''],
    [
      random.pick(['content-type', 'Content-Type']),
      random.pick(['application/json', 'application/json; charset=utf-8']),
    ],
    ...api.headers(secret),
    ['Accept', turn.stream ? 'text/event-stream' : 'application/json'],
    ['Accept-Encoding', random.pick(['gzip, br', 'identity', 'gzip;q=1.0, *;q=0.5'])],
    ['User-Agent', random.pick(['OpenAI/Python 3.4.1', 'OpenAI/JS 7.1.0', 'langchain-js'])],
    [callHeader, String(n)],
    ...odd(random),
    ...when(isEncoded, ['Content-Encoding', 'gzip']),
    ...when(awaitsContinue, ['Expect', '100-continue']),
    isChunked ? ['Transfer-Encoding', 'chunked'] : ['Content-Length', String(bytes.length)],
  ]
  const chunks =
    kind === 'large-request' || random.next() < 0.7 ? [bytes].filter(({ length }) => length > 0) : pieces(random, bytes)
  return {
    method: 'POST',
    path: `${api.path}${random.next() < 0.1 ? random.pick(['?api-version=2026-01-01', '?a=%2F&b=c+d%20e', '?']) : ''}`,
    headers,
    chunks: kind === 'upload' || kind === 'abort-upload' ? pieces(random, bytes) : chunks,
    ...(kind === 'upload' && { isInterlocked: true }),
    ...(awaitsContinue && { awaitsContinue }),
    ...(kind === 'abort-upload' && { abortAfter: random.whole(0, bytes.length - 1), isInterlocked: true }),
  }
}

/** Headers that a proxy may trip over. */
const odd = (random: Random): RawHeaders =>
  random.next() < 0.8
    ? []
    : random.pick<RawHeaders>([
        [['X-Empty', '']],
        [['X-Twice', 'a'], ['X-Twice', 'b'], ['x-twice', 'c']],
        [['X-LATIN', 'caf\u00e9']],
        [['Cookie', 'a=1; b=2'], ['Via', '1.1 corporate']],
        [['X-Forwarded-For', '10.0.0.1'], ['Forwarded', 'for=10.0.0.1']],
        [['Connection', 'x-hop'], ['X-Hop', 'for the next hop only']],
        [['X-Long', 'l'.repeat(6_000)]],
      ]) // biome-ignore format: one list

const limits = (random: Random): RawHeaders => [
  ['X-RateLimit-Limit-Requests', '10000'],
  ['x-ratelimit-remaining-tokens', String(random.whole(0, 200_000))],
  ['x-ratelimit-reset-tokens', '6ms'],
  ['X-Request-ID', `req_${hexOf(random, 12)}`],
]

const answerHeaders = (random: Random, type: string): Header[] => [
  ['Date', 'Mon, 30 Nov 2026 12:00:00 GMT'],
  ['Content-Type', type],
  ...limits(random),
  ['openai-processing-ms', String(random.whole(5, 900))],
  ...when(random.next() < 0.3, ['Set-Cookie', '__cf_bm=a; path=/'], ['set-cookie', '_cfuvid=b; HttpOnly'], ['Server', 'cloudflare']),
  ...odd(random).filter(([name]) => !/^(cookie|connection|x-hop)$/i.test(name)),
] // biome-ignore format: one list

type Reply = Pick<Call, 'reply' | 'leaveAfter'>

function replyOf(random: Random, kind: Kind, { api, turn, answer, tag }: Basis): Reply {
  if (kind === 'error' || kind === 'bad-request')
    return {
      reply: errorReply(
        random,
        api,
        kind === 'error' ? random.pick([400, 401, 403, 404, 429, 429, 500, 503, 529]) : 400,
        tag,
      ),
    }
  if (kind === 'odd-error') return { reply: oddError(random) }
  if (kind === 'continue-refused') return { reply: { ...errorReply(random, api, 413, tag), isEarly: true } }
  if (kind === 'headless') return { reply: { status: 0, headers: [], chunks: [], end: 'reset', isHeadless: true } }
  if (kind === 'leave-early' || kind === 'abort-upload')
    return { reply: { status: 0, headers: [], chunks: [], end: 'open', isHeadless: true }, leaveAfter: 0 }
  const type = turn.stream ? random.pick(['text/event-stream', 'text/event-stream; charset=utf-8']) : 'application/json'
  const plain = turn.stream
    ? streamBytes(random, spoilt(random, kind, api, eventsOf(random, api, turn, answer)))
    : Buffer.from(jsonBytes(random, api.answer(answer)))
  // No UTF-8.
  const spoiltAt = plain.indexOf(noText)
  if (spoiltAt >= 0) plain.set([0xff, 0xfe, 0xfd], spoiltAt)
  const encoding = random.pick(encodings)
  const bytes = kind === 'encoded' ? encoded(encoding, plain) : plain
  const breaksOff = kind === 'late-reset' || kind === 'reset' || kind === 'garbage' || kind === 'leave'
  const sent = breaksOff ? bytes.subarray(0, random.whole(1, Math.ceil(bytes.length * 0.6))) : bytes
  const isLong = sent.length > megabyte
  const isChunked = kind === 'garbage' || turn.stream || random.next() < 0.3
  const headers: Header[] = [
    ...answerHeaders(random, type),
    ...when(kind === 'encoded' || kind === 'wrong-encoding', ['Content-Encoding', encoding]),
    isChunked ? ['Transfer-Encoding', 'chunked'] : ['Content-Length', String(bytes.length)],
  ]
  return {
    reply: {
      status: 200,
      ...(random.next() < 0.1 && { reason: random.pick(['Fine', '']) }),
      headers,
      chunks: isLong ? longPieces(sent) : pieces(random, sent),
      ...((kind === 'interlocked' || (breaksOff && kind !== 'late-reset')) && { isInterlocked: true }),
      ...(kind === 'slow' && { firstByteMs: random.whole(100, 1_500) }),
      end:
        kind === 'late-reset'
          ? 'reset'
          : kind === 'reset' || kind === 'garbage'
            ? kind
            : kind === 'leave'
              ? 'open'
              : 'whole',
    },
    ...(kind === 'leave' && { leaveAfter: sent.length }),
  }
}

const longPieces = (bytes: Buffer) =>
  Array.from({ length: Math.ceil(bytes.length / 65_000) }, (_, i) => bytes.subarray(i * 65_000, (i + 1) * 65_000))

function eventsOf(random: Random, api: Api, turn: Turn, answer: Answer): StreamEvent[] {
  const isLong = answer.text.length > 100_000
  return api.events(answer, slices(answer.text, isLong ? 4_000 : random.whole(1, 20)), turn)
}

/** The events of a stream that does not go well. */
function spoilt(random: Random, kind: Kind, api: Api, events: readonly StreamEvent[]): StreamEvent[] {
  const middle = random.whole(1, events.length - 2)
  if (kind === 'stream-error') return [...events.slice(0, middle), streamError(api)]
  if (kind === 'malformed')
    return events.toSpliced(middle, 0, {
      data: random.pick(['{"id":"x","choices":[{"del', 'not JSON', '', '[]', '{}', 'null', '{"choices":7}', noText]),
    })
  if (kind === 'no-end') return events.slice(0, -1)
  return [...events]
}

function streamError(api: Api): StreamEvent {
  if (api.name === 'chat') return { data: api.error(500, 'The server had an error') }
  if (api.name === 'messages') return { event: 'error', data: api.error(529, 'Overloaded') }
  return {
    event: 'error',
    data: { type: 'error', code: 'server_error', message: 'The server had an error', param: null, sequence_number: 9 },
  }
}

function errorReply(random: Random, api: Api, status: number, tag: string): ScriptedReply {
  const bytes = Buffer.from(jsonBytes(random, api.error(status, `Refused ${tag}: ${textOf(random)}`)))
  const headers: Header[] = [
    ...answerHeaders(random, 'application/json'),
    ...when(status === 429 || status >= 500, ['Retry-After', '1'], ['retry-after-ms', '20'], ['x-should-retry', 'true']),
    ...when(status === 401, ['WWW-Authenticate', 'Bearer realm="api"']),
    ['Content-Length', String(bytes.length)],
  ] // biome-ignore format: one list
  return { status, headers, chunks: pieces(random, bytes), end: 'whole' }
}

/** Errors that are no JSON: of proxies, and of servers that fell over. */
function oddError(random: Random): ScriptedReply {
  const [status, type, body] = random.pick([
    [502, 'text/html', '<html><body>502 Bad Gateway</body></html>'],
    [503, 'text/plain; charset=utf-8', 'no healthy upstream'],
    [500, 'application/json', '{"error": {"mess'],
    [504, 'text/html; charset=latin1', '<p>Zeit\u00fcberschreitung</p>'],
    [418, '', ''],
    [500, 'application/json', 'null'],
  ] as const)
  const bytes = Buffer.from(body, 'latin1')
  const headers: Header[] = [
    ['Date', 'Mon, 30 Nov 2026 12:00:00 GMT'],
    ...when(type !== '', ['Content-Type', type]),
    ['Content-Length', String(bytes.length)],
  ]
  return { status, headers, chunks: bytes.length ? [bytes] : [], end: 'whole' }
}

function expectedOf(
  kind: Kind,
  { api, turn: { model, stream, streamUsage }, answer }: Basis,
  { status }: ScriptedReply,
): ExpectedRecord | undefined {
  const subject = model
  // Nothing that a log could know the model of.
  if (kind === 'large-request' || kind === 'bad-request' || kind === 'continue-refused' || kind === 'abort-upload')
    return undefined
  if (kind === 'error' || kind === 'odd-error') return { subject, end: 'failed', status }
  if (['stream-error', 'reset', 'late-reset', 'headless', 'garbage', 'leave', 'leave-early'].includes(kind))
    return { subject, end: 'failed' }
  // Without its last event, this protocol says neither how the answer ended nor what it cost.
  if (kind === 'no-end' && api.name === 'responses') return { subject, end: 'failed' }
  if (kind === 'wrong-encoding') return { subject }
  if (kind === 'large-answer') return { subject, end: 'result' }
  // Its last event has the whole answer, and is too long to be read.
  if (kind === 'large-stream' && api.name === 'responses') return { subject }
  const isReported = !stream || streamUsage || api.name !== 'chat'
  const { input, output } = answer.usage
  // Whole, this protocol has arguments as JSON.
  const isParsed = api.name === 'messages' && !stream
  return {
    subject,
    end: 'result',
    ...(kind !== 'malformed' &&
      kind !== 'large-stream' && {
        text: answer.text,
        toolCalls: answer.calls.map(({ name, input: text }) => ({ toolName: name, ...argumentsOf(text, isParsed) })),
      }),
    ...(isReported && kind !== 'no-end' && { usage: { input, output } }),
  }
}

function argumentsOf(text: string, isParsed: boolean): { input: unknown } | { malformed: string } {
  try {
    return { input: JSON.parse(text) as unknown }
  } catch {
    return isParsed ? { input: {} } : { malformed: text }
  }
}
