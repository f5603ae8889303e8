import { ModelTap } from '../taps/model/model-tap.ts'
import { parsePrices } from '../taps/model/model-prices.ts'
import { usageError } from './output.ts'
import { runTapProxy, type TapProxyOptions } from './tap-proxy.ts'

export interface TapModelOptions extends TapProxyOptions {
  tenant?: string
  price?: string[]
  budgetTokens?: number
  budgetCost?: number
  enforce?: boolean
}

export const tapOpenaiCommand = (options: TapModelOptions): Promise<void> => run(options, 'OPENAI_BASE_URL')
export const tapAnthropicCommand = (options: TapModelOptions): Promise<void> => run(options, 'ANTHROPIC_BASE_URL')

/** `setting`: the variable by which clients of the provider find the tap. */
async function run(options: TapModelOptions, setting: string): Promise<void> {
  const { name, tenant, price = [], budgetTokens: tokens, budgetCost: cost, enforce = false } = options
  if (enforce && tokens === undefined && cost === undefined)
    throw usageError('--enforce needs --budget-tokens or --budget-cost')
  const tapOptions = {
    ...options,
    tenant,
    prices: parsePrices(price),
    budget: { tokens, cost, enforce },
    onAlarm: (text: string) => void process.stderr.write(`tidings tap "${name}": over budget: ${text}\n`),
  }
  await runTapProxy(options, recorder => new ModelTap(recorder, tapOptions), setting)
}
