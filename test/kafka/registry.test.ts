import { randomUUID } from 'node:crypto'
import { expect, test } from 'vitest'
import { TidingsError } from '../../src/errors.ts'
import { SchemaRegistry, type SchemaDraft } from '../../src/kafka/registry/registry.ts'
import { readMessagePath, writeMessagePath } from '../../src/kafka/registry/wire-format.ts'
import { schemaRegistry } from '../lib/schema-registry.ts'

/* Also run against a real registry: `npm run registry-trial`. */

const avro = (schema: object): SchemaDraft => ({ type: 'AVRO', schema: JSON.stringify(schema) })

async function open() {
  const { url, requests, isReal } = await schemaRegistry()
  const registry = new SchemaRegistry({ url }, 'test')
  const subject = `s-${randomUUID()}`
  const roundTrip = async (draft: SchemaDraft, value: unknown, message?: string) => {
    const id = await registry.register(`${subject}-${draft.type}`, draft)
    const { bytes } = await registry.encode(value, id, message)
    expect([bytes[0], bytes.readUInt32BE(1)]).toEqual([0, id])
    // Another process knows nothing of what this one has fetched.
    return new SchemaRegistry({ url }, 'test').decode(bytes)
  }
  return { url, requests, isReal, registry, subject, roundTrip }
}

const codeOf = async (work: Promise<unknown>) => {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  return error instanceof TidingsError ? [error.code, error.retryable] : error
}

test('Avro comes back as JSON: exact longs and decimals, bytes as Base64, unions without a wrapper', async () => {
  const { roundTrip } = await open()
  const order = avro({
    type: 'record',
    name: 'Order',
    namespace: 'com.acme',
    fields: [
      { name: 'id', type: 'long' },
      { name: 'small', type: 'long' },
      { name: 'amount', type: { type: 'bytes', logicalType: 'decimal', precision: 12, scale: 2 } },
      { name: 'debt', type: ['null', { type: 'bytes', logicalType: 'decimal', precision: 4, scale: 0 }] },
      { name: 'digest', type: { type: 'fixed', name: 'Digest', size: 3 } },
      { name: 'note', type: ['null', 'string'], default: null },
      { name: 'sealed', type: ['null', 'bytes'], default: null },
      { name: 'state', type: { type: 'enum', name: 'State', symbols: ['OPEN', 'PAID'] } },
      { name: 'lines', type: { type: 'array', items: { type: 'map', values: 'long' } } },
      { name: 'at', type: { type: 'long', logicalType: 'timestamp-millis' } },
    ],
  })
  const value = {
    id: '9007199254740993',
    small: -7,
    amount: '-1234.50',
    debt: '-129',
    digest: 'AAEC',
    note: 'hello',
    sealed: '/w==',
    state: 'PAID',
    lines: [{ a: 1 }, {}],
    at: 1_796_000_000_000,
  }
  expect(await roundTrip(order, value)).toEqual(value)
  expect(await roundTrip(order, { ...value, debt: null, note: null, sealed: null })).toMatchObject({
    debt: null,
    note: null,
    sealed: null,
  })
})

test('Avro refuses what the schema does not describe', async () => {
  const { roundTrip } = await open()
  const draft = avro({ type: 'record', name: 'A', fields: [{ name: 'n', type: 'int' }] })
  expect(await codeOf(roundTrip(draft, { n: 'one' }))).toEqual(['E_RECORD_INVALID', false])
  expect(await codeOf(roundTrip(draft, { n: 1, unknown: 2 }))).toEqual(['E_RECORD_INVALID', false])
})

test('a schema is found with all that it refers to', async () => {
  const { registry, subject, roundTrip } = await open()
  const names = { address: `${subject}-address`, person: `${subject}-person` }
  await registry.register(
    names.address,
    avro({ type: 'record', name: 'Address', namespace: 'acme', fields: [{ name: 'city', type: 'string' }] }),
  )
  await registry.register(names.person, {
    ...avro({ type: 'record', name: 'Person', namespace: 'acme', fields: [{ name: 'home', type: 'acme.Address' }] }),
    references: [{ name: 'acme.Address', subject: names.address, version: 1 }],
  })
  const order: SchemaDraft = {
    ...avro({
      type: 'record',
      name: 'Order',
      namespace: 'acme',
      fields: [
        { name: 'buyer', type: 'acme.Person' },
        { name: 'to', type: 'acme.Address' },
      ],
    }),
    references: [
      { name: 'acme.Person', subject: names.person, version: 1 },
      { name: 'acme.Address', subject: names.address, version: 1 },
    ],
  }
  const value = { buyer: { home: { city: 'Kiel' } }, to: { city: 'Bonn' } }
  expect(await roundTrip(order, value)).toEqual(value)
})

const proto = `syntax = "proto3";
package acme.sales;
import "google/protobuf/timestamp.proto";
import "money.proto";
message Header { string trace_id = 1; }
message Order {
  message Line { string sku = 1; int64 count = 2; }
  enum State { OPEN = 0; PAID = 1; }
  string order_id = 1;
  State state = 2;
  repeated Line lines = 3;
  acme.Money total = 4;
  bytes seal = 5;
  google.protobuf.Timestamp at = 6;
  map<string, int32> tags = 7;
}`

test('Protobuf: the message type by its place, imports, nested types, exact integers', async () => {
  const { registry, subject, roundTrip } = await open()
  await registry.register(`${subject}-money`, {
    type: 'PROTOBUF',
    schema: 'syntax = "proto3"; package acme; message Money { int64 cents = 1; string currency = 2; }',
  })
  const draft: SchemaDraft = {
    type: 'PROTOBUF',
    schema: proto,
    references: [{ name: 'money.proto', subject: `${subject}-money`, version: 1 }],
  }
  const order = {
    orderId: 'A1',
    state: 'PAID',
    lines: [{ sku: 'x', count: '9007199254740993' }],
    total: { cents: '1250', currency: 'EUR' },
    seal: '/w==',
    at: { seconds: '1796000000', nanos: 5 },
    tags: { rush: 1 },
  }
  expect(await roundTrip(draft, order, 'acme.sales.Order')).toEqual(order)
  expect(await roundTrip(draft, { traceId: 't' })).toEqual({ traceId: 't' })
  const line = { sku: 'y', count: '2' }
  expect(await roundTrip(draft, line, 'Order.Line')).toEqual(line)
  expect(await codeOf(roundTrip(draft, { trace: 't' }))).toEqual(['E_RECORD_INVALID', false])
  expect(await codeOf(roundTrip(draft, line, 'Nothing'))).toEqual(['E_RECORD_INVALID', false])
})

test('the path to a Protobuf message is one byte for the first one, else zigzag varints', () => {
  expect([...writeMessagePath([0])]).toEqual([0])
  expect([...writeMessagePath([1, 0])]).toEqual([4, 2, 0])
  for (const path of [[0], [1], [2, 3], [200, 0, 70_000]])
    expect(readMessagePath(Buffer.concat([writeMessagePath(path), Buffer.from('rest')]))).toEqual({
      path,
      payload: Buffer.from('rest'),
    })
  expect(() => readMessagePath(Buffer.from([4, 2]))).toThrow('cut off')
})

test('JSON Schema: what is written must match, with references', async () => {
  const { registry, subject, roundTrip } = await open()
  const city = { $schema: 'http://json-schema.org/draft-07/schema#', $id: 'city.json', type: 'string', minLength: 2 }
  await registry.register(`${subject}-city`, { type: 'JSON', schema: JSON.stringify(city) })
  const draft: SchemaDraft = {
    type: 'JSON',
    schema: JSON.stringify({
      $schema: 'http://json-schema.org/draft-07/schema#',
      type: 'object',
      properties: { city: { $ref: 'city.json' }, n: { type: 'integer' } },
      required: ['city'],
    }),
    references: [{ name: 'city.json', subject: `${subject}-city`, version: 1 }],
  }
  expect(await roundTrip(draft, { city: 'Kiel', n: 1 })).toEqual({ city: 'Kiel', n: 1 })
  expect(await codeOf(roundTrip(draft, { city: 'K' }))).toEqual(['E_RECORD_INVALID', false])
  const newest: SchemaDraft = {
    type: 'JSON',
    schema: JSON.stringify({
      $schema: 'https://json-schema.org/draft/2020-12/schema',
      prefixItems: [{ type: 'string' }],
    }),
  }
  expect(await codeOf(roundTrip(newest, [1]))).toEqual(['E_RECORD_INVALID', false])
})

test('the newest version of a subject, or the one that is named', async () => {
  const { registry, subject } = await open()
  const first = await registry.register(subject, avro({ type: 'string' }))
  const second = await registry.register(subject, avro({ type: 'string', doc: 'longer' }))
  expect(await registry.register(subject, avro({ type: 'string' }))).toBe(first)
  expect([await registry.idOf(subject), await registry.idOf(subject, 1)]).toEqual([second, first])
})

test('a schema that is not there is a fault of the record; a registry that does not answer is none', async () => {
  const { url, registry, requests, isReal } = await open()
  const unknown = Buffer.from([0, 0x7f, 0, 0, 1, 2])
  expect(await codeOf(registry.decode(unknown))).toEqual(['E_RECORD_INVALID', false])
  expect(await codeOf(registry.decode(unknown))).toEqual(['E_RECORD_INVALID', false])
  // The second one did not ask again.
  if (!isReal) expect(requests).toHaveLength(1)
  expect(await codeOf(registry.decode(Buffer.from('{"plain": "JSON"}')))).toEqual(['E_RECORD_INVALID', false])
  const away = new SchemaRegistry({ url: 'http://127.0.0.1:1' }, 'test')
  expect(await codeOf(away.decode(unknown))).toEqual(['E_REGISTRY_UNAVAILABLE', true])
  expect(() => new SchemaRegistry({ url: url.replace('http', 'ftp') }, 'test')).toThrow('http://')
})
