import type { Random } from '../crashloop/random.ts'
import { callHeader, when, type Call, type Header, type RawHeaders, type ScriptedReply } from './call.ts'
import { pieces } from './framing.ts'
import { secretOf, textOf } from './texts.ts'

/** What is asked of such an API besides answers of models, and what nobody should ask. */
export function otherCall(random: Random, n: number): Pick<Call, 'kind' | 'request' | 'reply'> {
  const json = (value: unknown) => Buffer.from(JSON.stringify(value))
  const reply = (status: number, body: Buffer, headers: RawHeaders = []): ScriptedReply => ({
    status,
    headers: [['date', 'Mon, 30 Nov 2026 12:00:00 GMT'], ['content-type', 'application/json'], ...headers, ['content-length', String(body.length)]],
    chunks: pieces(random, body),
    end: 'whole',
  }) // biome-ignore format: one table
  const bare = (status: number, headers: RawHeaders = []): ScriptedReply => ({
    status,
    headers,
    chunks: [],
    end: 'whole',
  })
  const multipart = Buffer.from(
    `--b\r\nContent-Disposition: form-data; name="file"; filename="a.jsonl"\r\n\r\n${textOf(random, 80)}\r\n--b--\r\n`,
  )
  const vectors = {
    object: 'list',
    model: 'text-embedding-4',
    data: [{ object: 'embedding', index: 0, embedding: Array.from({ length: 300 }, () => random.between(-1, 1)) }],
    usage: { prompt_tokens: 5, total_tokens: 5 },
  }
  const [method, path, body, type, answer] = random.pick<[string, string, Buffer, string, ScriptedReply]>([
    ['POST', '/v1/embeddings', json({ model: 'text-embedding-4', input: textOf(random) }), 'application/json', reply(200, json(vectors))],
    ['GET', '/v1/models', Buffer.alloc(0), '', reply(200, json({ object: 'list', data: [] }))],
    ['HEAD', '/v1/models', Buffer.alloc(0), '', { ...bare(200, [['Content-Length', '1234'], ['ETag', '"a"']]) }],
    ['OPTIONS', '/v1/chat/completions', Buffer.alloc(0), '', bare(204, [['Allow', 'POST'], ['access-control-allow-origin', '*']])],
    ['DELETE', '/v1/responses/resp_1', Buffer.alloc(0), '', reply(200, json({ deleted: true }))],
    ['GET', `/v1/nothing/${encodeURIComponent('Größe 潮汐')}?q=%00&&=`, Buffer.alloc(0), '', reply(404, json({ error: 'no such path' }))],
    ['GET', '/v1//models/../models/%2e%2e/x', Buffer.alloc(0), '', reply(404, json({ error: 'no such path' }))],
    ['POST', '/v1/files', multipart, 'multipart/form-data; boundary=b', reply(200, json({ id: 'file-1' }))],
    ['PUT', '/v1/raw', Buffer.from(Array.from({ length: 600 }, () => random.whole(0, 255))), 'application/octet-stream', bare(201, [['Location', '/v1/raw/1'], ['Content-Length', '0']])],
    ['GET', '/v1/models/x', Buffer.alloc(0), '', bare(304, [['ETag', 'W/"b"']])],
    ['GET', '/v1/moved', Buffer.alloc(0), '', bare(307, [['Location', 'https://elsewhere.example/v1'], ['Content-Length', '0']])],
    ['PATCH', '/', json({}), 'application/json', reply(405, json({ error: 'no' }), [['Allow', 'GET']])],
    ['GET', '/v1/audio', Buffer.alloc(0), '', { status: 200, headers: [['content-type', 'audio/mpeg'], ['transfer-encoding', 'chunked'], ['trailer', 'X-Checksum']], chunks: pieces(random, Buffer.from(Array.from({ length: 900 }, () => random.whole(0, 255)))), trailers: [['X-Checksum', 'abc']], end: 'whole' }],
    ['GET', '/v1/old', Buffer.alloc(0), '', { status: 200, headers: [['content-type', 'text/plain'], ['connection', 'close']], chunks: pieces(random, Buffer.from(textOf(random, 90))), end: 'whole' }],
  ]) // biome-ignore format: one table
  const headers: Header[] = [
    ['Host', ''],
    ['authorization', `Bearer ${secretOf(random, 'sk-proj-')}`],
    [callHeader, String(n)],
    ...when(type !== '', ['Content-Type', type]),
    ...when(body.length > 0, ['Content-Length', String(body.length)]),
  ]
  return {
    kind: 'other',
    request: { method, path, headers, chunks: body.length > 0 ? pieces(random, body) : [] },
    reply: answer,
  }
}
