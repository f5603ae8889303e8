import { hash } from 'node:crypto'
import type { Names } from './names.ts'
import { token } from './names.ts'
import type { Stream } from './stream.ts'

const reference = /^sha256-([0-9a-f]{64})$/
/** Every writer must cut alike. The default `max_payload` of a server is 1 MiB. */
const chunkBytes = 512 * 1024
const countHeader = 'Tidings-Chunks'

/** Content-addressed bytes in a plain stream, cut into chunks; the first chunk says how many there are. */
export class Blobs {
  readonly #names: Names
  readonly #stream: Stream

  constructor(names: Names, stream: Stream) {
    this.#names = names
    this.#stream = stream
  }

  /** Writes also what is there already, so that its age begins anew. The first chunk comes last: with it the blob is whole. */
  async put(tenant: string, bytes: Uint8Array): Promise<string> {
    const digest = hash('sha256', bytes, 'hex')
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
    const chunks = [first.bytes()]
    for (let i = 1; i < Number(first.header(countHeader)); i++) {
      const chunk = await this.#stream.last(this.#subject(tenant, digest, i))
      if (!chunk) return undefined
      chunks.push(chunk.bytes())
    }
    return chunks.length === 1 ? chunks[0] : Buffer.concat(chunks)
  }

  /** Removes what nobody put since `cutoff`. */
  async purge(cutoff: number): Promise<void> {
    const { first_seq, last_seq } = (await this.#stream.info()).state
    let [low, high] = [first_seq, last_seq + 1]
    while (low < high) {
      const middle = Math.floor((low + high) / 2)
      const message = await this.#stream.next('>', middle)
      if (message && message.at < cutoff) low = message.seq + 1
      else high = middle
    }
    if (low > first_seq) await this.#stream.purge(`${this.#names.log}.b.>`, low)
  }

  #subject(tenant: string, digest: string, chunk: number): string {
    return `${this.#names.log}.b.${token(tenant)}.${digest}.${chunk}`
  }
}
