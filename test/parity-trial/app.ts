import { agent } from '../../src/agents/agent.ts'
import type { StranglerOptions } from '../../src/runtime/strangler.ts'

/* A function whose answers vary, and an agent that answers as it does, but for what is planted. */

export interface Quote {
  readonly total: number
  /** Varies by itself, in 1 % of the answers. */
  readonly shipping: number
  readonly items: readonly { readonly sku: string; readonly rank: number }[]
  readonly tone: 'formal' | 'friendly'
  readonly id: number
  readonly createdAt: number
}

/** The field in which the candidate is wrong, for 2 % of the inputs. */
export const plantedFields = ['total', 'shipping'] as const
export type Planted = (typeof plantedFields)[number] | 'nothing'

function quoteFor(n: number): Quote {
  return {
    total: n * 2,
    shipping: Math.random() < 0.01 ? 5 : 4,
    items: [{ sku: `sku-${n}`, rank: Math.random() < 0.3 ? 1 : 2 }],
    tone: Math.random() < 0.5 ? 'formal' : 'friendly',
    id: Math.random(),
    createdAt: performance.now(),
  }
}

const isWrong = (n: number) => n % 50 === 7

export const quoterWith = (planted: Planted) =>
  agent('quoter', {
    run: (ctx, n: number) =>
      ctx.step('quote', () => {
        const quote = quoteFor(n)
        return planted === 'nothing' || !isWrong(n) ? quote : { ...quote, [planted]: 99 }
      }),
  })

export const quoteOptions: StranglerOptions<number, Quote> = {
  old: quoteFor,
  candidate: 'quoter',
  repeatable: true,
  effects: { 'step/quoter': 'live' },
  maxMirrors: 1_000,
}
