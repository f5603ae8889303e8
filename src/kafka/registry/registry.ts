import { setTimeout as pause } from 'node:timers/promises'
import { textOf, TidingsError } from '../../errors.ts'
import type { Json } from '../../json.ts'
import { aFunction, aText, checkOptions, type Check } from '../../options.ts'
import { avroCodec } from './avro.ts'
import type { Codec, ReferencedSchema, RegisteredSchema, SchemaType } from './codec.ts'
import { jsonSchemaCodec } from './json-schema.ts'
import { protobufCodec } from './protobuf.ts'
import { readFrame, writeFrame } from './wire-format.ts'

/** A schema registry with the HTTP interface of Confluent: Confluent, Karapace, Apicurio under `/apis/ccompat/v7`, Redpanda. */
export interface SchemaRegistryOptions {
  url: string
  username?: string
  password?: string
  /** An access token, asked for at each request. */
  token?: () => string | Promise<string>
}

/** A schema to register, or whose id to look up. */
export interface SchemaDraft {
  readonly type: SchemaType
  /** The schema as text: JSON of Avro or JSON Schema, or a `.proto` file. */
  readonly schema: string
  readonly references?: readonly { readonly name: string; readonly subject: string; readonly version: number }[]
}

const checks = {
  url: aText,
  username: aText,
  password: aText,
  token: aFunction,
} satisfies Record<keyof SchemaRegistryOptions, Check>

const timeoutMs = 10_000
/** A schema that is missing is asked for again after this time. */
const missingTtlMs = 5_000
const maxReferences = 256

interface StoredSchema {
  readonly id?: number
  readonly schema: string
  readonly schemaType?: SchemaType
  readonly references?: SchemaDraft['references']
}

/** Reads and writes values in the wire format of a registry. Schemas never change, so each is fetched once. */
export class SchemaRegistry {
  readonly #url: string
  readonly #options: SchemaRegistryOptions
  readonly #codecs = new Map<number, Promise<Codec>>()
  readonly #ids = new Map<string, Promise<number>>()

  /** @throws E_APP_INVALID */
  constructor(options: SchemaRegistryOptions, what: string) {
    checkOptions(`${what}: registry`, options, checks, ['url'])
    const url = URL.parse(options.url)
    if (!url || !/^https?:$/.test(url.protocol))
      throw new TidingsError('E_APP_INVALID', `${what}: the url of the registry must be http:// or https://`)
    const { username, password } = url
    url.username = url.password = ''
    this.#url = url.href.replace(/\/$/, '')
    this.#options = { ...(username && { username, password: decodeURIComponent(password) }), ...options }
  }

  /** @throws E_RECORD_INVALID, E_REGISTRY_UNAVAILABLE */
  async decode(bytes: Buffer): Promise<Json> {
    const { schemaId, payload } = readFrame(bytes)
    return (await this.#codec(schemaId)).decode(payload)
  }

  /** `message`: the name of a Protobuf message type. @throws E_RECORD_INVALID, E_REGISTRY_UNAVAILABLE */
  async encode(value: unknown, schemaId: number, message?: string): Promise<{ bytes: Buffer; contentType: string }> {
    const codec = await this.#codec(schemaId)
    return { bytes: writeFrame(schemaId, await codec.encode(value, message)), contentType: codec.contentType }
  }

  /** The id of the newest version of a subject, or of the given one. @throws E_RECORD_INVALID, E_REGISTRY_UNAVAILABLE */
  idOf(subject: string, version: number | 'latest' = 'latest'): Promise<number> {
    const path = `/subjects/${encodeURIComponent(subject)}/versions/${version}`
    return this.#known(path, async () => (await this.#request<{ id: number }>(path)).id)
  }

  /** Registers a schema under the subject unless it is there. @throws E_RECORD_INVALID, E_REGISTRY_UNAVAILABLE */
  register(subject: string, { type, schema, references = [] }: SchemaDraft): Promise<number> {
    const body = { schema, schemaType: type, references }
    const path = `/subjects/${encodeURIComponent(subject)}/versions`
    return this.#known(
      `${path} ${JSON.stringify(body)}`,
      async () => (await this.#request<{ id: number }>(path, body)).id,
    )
  }

  #known(key: string, ask: () => Promise<number>): Promise<number> {
    return remember(this.#ids, key, ask)
  }

  #codec(id: number): Promise<Codec> {
    return remember(this.#codecs, id, async () => codecOf(await this.#schema(id)))
  }

  async #schema(id: number): Promise<RegisteredSchema> {
    const { schema, schemaType = 'AVRO', references } = await this.#request<StoredSchema>(`/schemas/ids/${id}`)
    return { id, type: schemaType, text: schema, references: await this.#referenced(references) }
  }

  /** What the references name, and what those refer to, each once. */
  async #referenced(references: SchemaDraft['references'] = [], seen = new Set<string>()): Promise<ReferencedSchema[]> {
    const found: ReferencedSchema[] = []
    for (const { name, subject, version } of references) {
      if (seen.has(name)) continue
      seen.add(name)
      if (seen.size > maxReferences)
        throw new TidingsError('E_RECORD_INVALID', `the schema refers to more than ${maxReferences} others`)
      const path = `/subjects/${encodeURIComponent(subject)}/versions/${version}`
      const stored = await this.#request<StoredSchema>(path)
      found.push(...(await this.#referenced(stored.references, seen)), { name, text: stored.schema })
    }
    return found
  }

  async #request<T>(path: string, body?: unknown): Promise<T> {
    let response: Response
    let text: string
    try {
      response = await fetch(this.#url + path, {
        ...(body !== undefined && { method: 'POST', body: JSON.stringify(body) }),
        headers: {
          ...(await this.#headers()),
          accept: mediaType,
          ...(body !== undefined && { 'content-type': mediaType }),
        },
        signal: AbortSignal.timeout(timeoutMs),
      })
      text = await response.text()
    } catch (cause) {
      throw unavailable(`${this.#url} does not answer: ${textOf((cause as Error).cause ?? cause)}`, cause)
    }
    if (response.ok) return JSON.parse(text) as T
    const { status } = response
    const answer = `${path} answers ${status}: ${text.slice(0, 300)}`
    if (status === 404 || status === 409 || status === 422)
      throw new TidingsError('E_RECORD_INVALID', `the schema registry cannot serve it: ${answer}`)
    throw unavailable(`${this.#url}${answer}`)
  }

  async #headers(): Promise<Record<string, string>> {
    const { username, password = '', token } = this.#options
    if (token) return { authorization: `Bearer ${await token()}` }
    if (username === undefined) return {}
    return { authorization: `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}` }
  }
}

const mediaType = 'application/vnd.schemaregistry.v1+json'

/** Keeps what is found, and for a moment also that it is missing, so that a flood of such records does not ask each time. */
function remember<K, V>(known: Map<K, Promise<V>>, key: K, ask: () => Promise<V>): Promise<V> {
  const found = known.get(key) ?? ask()
  if (known.has(key)) return found
  known.set(key, found)
  found.catch(async (error: unknown) => {
    if (!(error instanceof TidingsError && error.retryable)) await pause(missingTtlMs, undefined, { ref: false })
    known.delete(key)
  })
  return found
}

async function codecOf(schema: RegisteredSchema): Promise<Codec> {
  const codecs: Record<string, (schema: RegisteredSchema) => Promise<Codec>> = {
    AVRO: avroCodec,
    PROTOBUF: protobufCodec,
    JSON: jsonSchemaCodec,
  }
  const make = codecs[schema.type]
  if (!make) throw new TidingsError('E_RECORD_INVALID', `schema ${schema.id} is of the unknown type ${schema.type}`)
  return make(schema)
}

const unavailable = (detail: string, cause?: unknown) =>
  new TidingsError('E_REGISTRY_UNAVAILABLE', detail, { cause, retryable: true })
