import { TidingsError } from '../../errors.ts'
import type { ModelResult } from '../../tasks/conversation.ts'

/** What a model costs per million tokens, as `price` of `model()`. */
export interface ModelPrice {
  readonly input: number
  readonly output: number
}

/** Prices by the name of a model; a name that ends in `*` is the beginning of names. */
export type ModelPrices = Readonly<Record<string, ModelPrice>>

/** Prices as the command line gives them: `gpt-5.2*=1.25,10`. @throws E_USAGE */
export function parsePrices(texts: readonly string[]): ModelPrices {
  return Object.fromEntries(texts.map(text => parsePrice(text)))
}

function parsePrice(text: string): [name: string, price: ModelPrice] {
  const [, name, input, output] = /^(.+)=(\d+(?:\.\d+)?),(\d+(?:\.\d+)?)$/.exec(text) ?? []
  if (name !== undefined) return [name, { input: Number(input), output: Number(output) }]
  throw new TidingsError('E_USAGE', `--price "${text}" is not valid: expected MODEL=INPUT,OUTPUT per million tokens`)
}

/** What an answer costs; undefined if no price is known for any of the names. An exact name comes before a beginning, and a longer one first. */
export function costOf(
  { input, output }: ModelResult['usage'],
  names: readonly string[],
  prices: ModelPrices,
): number | undefined {
  for (const name of names) {
    const price = prices[name] ?? prices[longestBeginning(name, prices) ?? '']
    if (price) return (input * price.input + output * price.output) / 1_000_000
  }
  return undefined
}

function longestBeginning(name: string, prices: ModelPrices): string | undefined {
  const matching = Object.keys(prices).filter(key => key.endsWith('*') && name.startsWith(key.slice(0, -1)))
  return matching.toSorted((a, b) => b.length - a.length)[0]
}
