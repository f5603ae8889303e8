import type { StreamPart } from './parts.ts'

/** An output that a model is still writing: any part of it may be missing. */
export type PartialOutput<T> = T extends readonly (infer Item)[]
  ? readonly PartialOutput<Item>[]
  : T extends object
    ? { readonly [Key in keyof T]?: PartialOutput<T[Key]> }
    : T

/** Reads the JSON that a model writes, from the pieces of its text. */
export class PartialReader {
  #call: string | undefined
  #text = ''
  #shown = ''

  /** The object so far; undefined if this part of the stream adds nothing to it. */
  async push(part: StreamPart): Promise<object | undefined> {
    if (part.type === 'restart' && part.kind === 'text' && part.call === this.#call) this.#call = undefined
    if (part.type !== 'text') return undefined
    const { parsePartialJson } = await import('ai')
    const { call, text } = part
    this.#text = call === this.#call ? this.#text + text : text
    this.#call = call
    const { value } = await parsePartialJson(withoutFence(this.#text))
    const json = JSON.stringify(value)
    if (typeof value !== 'object' || value === null || json === this.#shown) return undefined
    this.#shown = json
    return value
  }
}

// Models without a JSON mode like to wrap it.
const withoutFence = (text: string) => text.replace(/^\s*```(?:json)?/, '')
