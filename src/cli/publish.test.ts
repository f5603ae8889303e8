import fc from 'fast-check'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { tidings } from '../../test/lib/cli.ts'
import type { Bus } from '../bus/bus.ts'
import { TidingsError } from '../errors.ts'
import { openBus } from '../runtime/environment.ts'
import { publishText, type PublishOptions } from './publish.ts'

/* TIDINGS_FUZZ says how many malformed inputs are tried. */

const numRuns = Number(process.env.TIDINGS_FUZZ ?? 300)

let home: string
let bus: Bus

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'tidings-publish-'))
  bus = await openBus({ bus: 'sqlite', home })
})

afterAll(async () => {
  await bus.driver.close()
  await rm(home, { recursive: true, force: true })
})

interface Typed {
  type: string
  json: string
  options: PublishOptions
}

const isType = (text: string) => text.length <= 128 && /^[a-z][a-z0-9_-]*(\.[a-z0-9_-]+)*$/.test(text)
const isJson = (text: string) => {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}
const controlled = fc
  .tuple(fc.string(), fc.constantFrom('\0', '\n', '\u001b', '\u007f'), fc.string())
  .map(parts => parts.join(''))
const noText = fc.oneof(fc.constant(''), controlled, fc.string({ minLength: 257, maxLength: 300 }))
const reserved = fc
  .tuple(
    fc.constantFrom('agent', 'call', 'control', 'model', 'task', 'timer', 'tool'),
    fc.constantFrom('', '.result', '.turn', '.x'),
  )
  .map(parts => parts.join(''))

const wellFormed: Typed = { type: 'order.paid', json: '{"n":1}', options: {} }
const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth)

/** Each alternative is malformed in one way, whatever else it is. */
const malformed: fc.Arbitrary<Typed> = fc
  .oneof(
    fc.string({ unit: 'binary' }).filter(text => !isType(text)).map(type => ({ type })),
    fc.string({ minLength: 129 }).map(text => ({ type: `a.${text}` })),
    reserved.map(type => ({ type })),
    fc.string({ unit: 'binary' }).filter(text => !isJson(text)).map(json => ({ json })),
    fc.json().map(json => ({ json: json.slice(0, -1) })).filter(({ json }) => !isJson(json)),
    fc.jsonValue().map(value => ({ json: `{"a":{"__proto__":${JSON.stringify(value)}}}` })),
    fc.constant({ json: '{"constructor":{"prototype":{"x":1}}}' }),
    fc.integer({ min: 66, max: 20_000 }).map(depth => ({ json: nested(depth) })),
    noText.map(id => ({ options: { id } })),
    fc.uuid().map(id => ({ options: { id: `${id}.0123456789:0000001` } })),
    fc.string().filter(text => !/^[0-9a-f-]{36}$/.test(text)).map(correlation => ({ options: { correlation } })),
    noText.map(target => ({ options: { target } })),
    fc.constantFrom('agent.invoke', 'agent.cancel').map(type => ({ type, json: '{"input":1}' })),
    fc.jsonValue().filter(value => !Object.hasOwn(Object(value), 'input')).map(value => ({ type: 'agent.invoke', json: JSON.stringify(value), options: { target: 'x' } })),
    fc.constant({ json: `"${'x'.repeat(4 * 1024 * 1024)}"` }),
  )
  .map(part => ({ ...wellFormed, ...part })) // biome-ignore format: one alternative a line

test(`${numRuns} malformed inputs: a typed error each, and nothing is stored`, { timeout: 600_000 }, async () => {
  await publishText(bus, wellFormed.type, wellFormed.json, {})
  const head = await bus.driver.head()
  await fc.assert(
    fc.asyncProperty(malformed, async ({ type, json, options }) => {
      const outcome = await publishText(bus, type, json, options).then(
        () => 'published',
        (error: unknown) => error,
      )
      expect(outcome).toBeInstanceOf(TidingsError)
      expect((outcome as TidingsError).code).toMatch(/^E_(EVENT_INVALID|EVENT_TOO_LARGE|USAGE|NOT_FOUND|AMBIGUOUS)$/)
      expect(await bus.driver.head()).toBe(head)
    }),
    { numRuns },
  )
  expect((await publishText(bus, wellFormed.type, wellFormed.json, {})).position.offset).toBeGreaterThan(Number(head))
})

test('any JSON that is not nested too deeply is stored as it is', async () => {
  const plain = fc.json({ maxDepth: 8 }).filter(json => !json.includes('__proto__') && !json.includes('prototype'))
  await fc.assert(
    fc.asyncProperty(plain, async json => {
      const { id, correlationid } = await publishText(bus, 'order.paid', json, {})
      const stored = await bus.resolve((await bus.get(id, correlationid))!)
      expect(JSON.stringify(stored.data)).toEqual(JSON.stringify(JSON.parse(json)))
    }),
    { numRuns: 100 },
  )
})

test('the types of an app refuse other data, with its path, and its rules redact', async () => {
  const file = join(home, 'shop.ts')
  const [library, zod] = ['../index.ts', 'zod'].map(name => JSON.stringify(import.meta.resolve(name)))
  await writeFile(
    file,
    `import { app, event } from ${library}
    import { z } from ${zod}
    const paid = event('order.paid', z.object({ lines: z.array(z.object({ cents: z.number() })), card: z.string() }))
    export default app({ use: [paid], redact: { paths: ['order.paid:data.card'] } })`,
  )
  const publish = (lines: object[]) => {
    const data = JSON.stringify({ lines, card: '4711' })
    return tidings({ home, bus: 'sqlite' }, ['publish', 'order.paid', data, '--app', file, '--json'])
  }
  const refused = await publish([{ cents: 1 }, { cents: '2' }])
  expect(refused.code).toBe(1)
  expect(JSON.parse(refused.stderr).error).toMatchObject({
    code: 'E_EVENT_INVALID',
    message: expect.stringContaining('lines.1.cents'),
  })
  const { id, correlationid } = JSON.parse((await publish([{ cents: 1 }])).stdout)
  expect(JSON.stringify(await bus.get(id, correlationid))).not.toContain('4711')
})
