/*
 * A provider signs or encrypts parts of a model's answer and expects them back unchanged. Redaction skips these opaque
 * values: only the provider can read them, and a match by chance would break them. If the text of a part is redacted, its
 * signature no longer fits and is removed.
 */

export const modelResultType = 'model.result'

// As the provider packages of the AI SDK name them: `thoughtSignature`, `reasoningEncryptedContent`, `itemId`.
const opaqueNames = /(?:[sS]ignature|[fF]ingerprint|redacted_?[dD]ata|[eE]ncrypted\w*|(?:^i|_i|I)d)$/
const opaqueText = /^[\w+/=.:|-]*$/

// The bus rejects deeper values.
const maxDepth = 64

type Redact = (value: unknown) => unknown
type Json = Record<string, unknown>

/** `before`: the original data. `data`: the same with the declared paths redacted. */
export function redactAnswer(before: unknown, data: unknown, redact: Redact): unknown {
  const { content, ...rest } = (data ?? {}) as Json
  const original = ((before ?? {}) as Json).content
  if (!Array.isArray(content) || !Array.isArray(original)) return redact(data)
  const clean = redact(rest) as Json
  const whole = {
    text: clean.text === (before as Json).text,
    reasoning: clean.reasoning === (before as Json).reasoning,
  }
  const each = content.map((part, i) => partOf(original[i], part, whole, redact))
  const parts = joined(joined(each, 'text', whole.text, clean), 'reasoning', whole.reasoning, clean)
  if (clean === rest && parts.every((part, i) => part === content[i])) return data
  return { ...clean, content: parts }
}

/** A secret may span several parts: then none of them keeps its text. */
function joined(parts: unknown[], type: 'text' | 'reasoning', isSame: boolean, clean: Json): unknown[] {
  const isOne = (part: unknown): part is Json => isObject(part) && part.type === type && 'text' in part
  const own = parts.filter(isOne)
  if (isSame || own.length === 0 || own.map(({ text }) => text).join('') === clean[type]) return parts
  if (type === 'reasoning') return parts.map(part => (isOne(part) ? { type, redacted: true } : part))
  // The first part then represents the text of the answer.
  return parts.flatMap(part => (!isOne(part) ? [part] : part === own[0] ? [{ type }] : []))
}

function partOf(before: unknown, part: unknown, whole: { text: boolean; reasoning: boolean }, redact: Redact): unknown {
  if (!isObject(part) || !isObject(before)) return redact(part)
  const { providerMetadata, result, ...rest } = part
  const body = redact(rest) as Json
  const metadata = sparing(providerMetadata, redact)
  const outcome = sparing(result, redact)
  const { type } = part
  const isSame =
    type !== 'text' && type !== 'reasoning' ? true : 'text' in part ? body.text === before.text : whole[type]
  if (
    type === 'reasoning' &&
    before.providerMetadata !== undefined &&
    !(isSame && metadata === before.providerMetadata)
  )
    return { ...body, redacted: true }
  if (isSame && body === rest && metadata === providerMetadata && outcome === result) return part
  return {
    ...body,
    ...(result !== undefined && { result: outcome }),
    ...(isSame && providerMetadata !== undefined && { providerMetadata: metadata }),
  }
}

/** Redacts all but opaque values; returns the same value if nothing changed. */
function sparing(value: unknown, redact: Redact, depth = 0): unknown {
  if (depth > maxDepth) return redact(value)
  if (Array.isArray(value)) {
    const clean = value.map(each => sparing(each, redact, depth + 1))
    return clean.every((each, i) => each === value[i]) ? value : clean
  }
  if (!isObject(value)) return redact(value)
  const entries = Object.entries(value)
  const clean = entries.flatMap(([key, each]) => {
    if (typeof each === 'string' && opaqueNames.test(key) && opaqueText.test(each)) return [[key, each] as const]
    if (typeof each === 'object' && each !== null)
      return [[redact(key) as string, sparing(each, redact, depth + 1)] as const]
    // Together with its key, because some secrets are recognised by their key.
    return Object.entries(redact({ [key]: each }) as Json)
  })
  return clean.every(([key, each], i) => key === entries[i]![0] && each === entries[i]![1])
    ? value
    : Object.fromEntries(clean)
}

const isObject = (value: unknown): value is Json => typeof value === 'object' && value !== null && !Array.isArray(value)
