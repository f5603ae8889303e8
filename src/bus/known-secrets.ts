// Tokens that were replaced are soon worthless.
const maxSecrets = 32
// A shorter one is also part of ordinary texts.
const minLength = 8

/** The credentials that a client of one server used lately, which no answer or error of the server may repeat. */
export class KnownSecrets {
  readonly #texts = new Set<string>()

  constructor(texts: readonly string[] = []) {
    for (const text of texts) this.add(text)
  }

  add(text: string): void {
    if (text.length < minLength) return
    this.#texts.delete(text)
    this.#texts.add(text)
    if (this.#texts.size > maxSecrets) this.#texts.delete(this.#texts.values().next().value!)
  }

  /** The text without them. */
  scrub(text: string): string {
    return this.#texts.values().reduce((rest, secret) => rest.replaceAll(secret, '[redacted]'), text)
  }

  /** The same for JSON: the value itself, if it has none. */
  scrubJson(value: unknown): unknown {
    const json = this.#texts.size === 0 ? undefined : JSON.stringify(value)
    if (json === undefined) return value
    // As the text of a secret is written in JSON.
    const written = this.#texts.values().map(secret => JSON.stringify(secret).slice(1, -1))
    const clean = written.reduce((rest, secret) => rest.replaceAll(secret, '[redacted]'), json)
    return clean === json ? value : JSON.parse(clean)
  }
}
