import { TimeSearch } from '../../bus/search-by-time.ts'
import { hash } from 'node:crypto'
import type { LogConnection } from './connection.ts'
import type { Names } from './names.ts'
import { token } from './names.ts'
import type { Stream } from './stream.ts'

const reference = /^sha256-([0-9a-f]{64})$/
/** All writers on a server cut alike: half of its `max_payload`, which is 1 MiB by default. */
const maxChunkBytes = 512 * 1024
const countHeader = 'Tidings-Chunks'

/** Content-addressed bytes in a plain stream, cut into chunks; the first chunk says how many there are. */
export class Blobs {
  readonly #names: Names
  readonly #stream: Stream
  readonly #connection: LogConnection

  constructor(connection: LogConnection, names: Names, stream: Stream) {
    this.#connection = connection
    this.#names = names
    this.#stream = stream
  }

  /** Also rewrites an existing blob, which resets its age. The first chunk is written last and completes the blob. */
  async put(tenant: string, bytes: Uint8Array): Promise<string> {
    const digest = hash('sha256', bytes, 'hex')
    const chunkBytes = Math.min(maxChunkBytes, Math.floor(this.#connection.maxPayload / 2))
    const chunks = Math.max(1, Math.ceil(bytes.length / chunkBytes))
    for (let i = chunks - 1; i >= 0; i--)
      await this.#stream.append(
        this.#subject(tenant, digest, i),
        bytes.subarray(i * chunkBytes, (i + 1) * chunkBytes),
        { [countHeader]: chunks },
      )
    return `sha256-${digest}`
  }

  async get(tenant: string, ref: string): Promise<Uint8Array | undefined> {
    const digest = reference.exec(ref)?.[1]
    if (!digest || tenant === '') return undefined
    const first = await this.#stream.last(this.#subject(tenant, digest, 0))
    if (!first) return undefined
    const count = first.header(countHeader)
    const chunks = [first.bytes()]
    for (let i = 1; i < Number(count); i++) {
      const chunk = await this.#stream.last(this.#subject(tenant, digest, i))
      // Another count: a writer is replacing the blob after a change of `max_payload` and has not written the first chunk.
      if (chunk?.header(countHeader) !== count) return undefined
      chunks.push(chunk.bytes())
    }
    return chunks.length === 1 ? chunks[0] : Buffer.concat(chunks)
  }

  /** Removes blobs that were last written before `cutoff`. */
  async purge(cutoff: number): Promise<void> {
    const { first_seq, last_seq } = (await this.#stream.info()).state
    const search = new TimeSearch({ first: first_seq, head: last_seq, cutoff })
    for (let probe; (probe = search.probe) !== undefined; ) {
      const message = await this.#stream.next('>', probe)
      search.answer(message && { offset: message.seq, time: message.at })
    }
    const { offset } = search
    if (offset > first_seq) await this.#stream.purge(`${this.#names.log}.b.>`, offset)
  }

  #subject(tenant: string, digest: string, chunk: number): string {
    return `${this.#names.log}.b.${token(tenant)}.${digest}.${chunk}`
  }
}
