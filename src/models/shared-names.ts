import { isDeepStrictEqual } from 'node:util'
import type { LanguageModelV4 } from '@ai-sdk/provider'
import { TidingsError } from '../errors.ts'
import { offlineProvider } from './offline/language-model.ts'
import { model as modelOf, type Model } from './model.ts'

/*
 * Requests name a model, and any worker that hosts the name answers them. So two models of an app may share a name only if it does not matter
 * which of them answers. Providers make a new object whenever they are asked, and such objects are compared by what they show.
 */

/** One model for each name. `models`: as agents and apps name them. @throws E_APP_NAME_TAKEN for two that differ */
export function oneForEachName(app: string, models: readonly (Model | LanguageModelV4)[]): Model[] {
  const known = new Map<string, Model>()
  for (const each of models) {
    const isBare = !('kind' in each)
    const added = isBare ? modelOf(each) : each
    const first = known.get(added.name)
    if (!first) known.set(added.name, added)
    else if (!isSameService(first.languageModel, added.languageModel)) throw taken(app, added.name, 'are two models')
    else if (!isBare && !isDeepStrictEqual(first.options, added.options)) {
      // The first agent may name the bare model, and another one its limits.
      if (hasOptions(first)) throw taken(app, added.name, 'have different options')
      known.set(added.name, added)
    }
  }
  return [...known.values()]
}

const hasOptions = ({ options }: Model) => Object.keys(options).some(name => name !== 'readOnly')

function isSameService(a: LanguageModelV4, b: LanguageModelV4): boolean {
  if (a === b || (a.provider === offlineProvider && b.provider === offlineProvider)) return true
  // An object literal is made by the app, and its functions may do anything.
  return a.constructor === b.constructor && a.constructor !== Object && shownBy(a) === shownBy(b)
}

/** The settings of a model of a provider, with its base URL and without its functions. */
function shownBy(model: LanguageModelV4): string {
  const { config } = model as { config?: { url?: unknown } }
  const url = typeof config?.url === 'function' ? (config.url as (of: object) => unknown) : undefined
  return JSON.stringify([model, url?.({ path: '/', modelId: model.modelId })])
}

const taken = (app: string, name: string, problem: string) =>
  new TidingsError(
    'E_APP_NAME_TAKEN',
    `app "${app}": what its agents and \`use\` call the model "${name}" ${problem}, and requests name only one`,
    { next: 'Make the model once and use that object everywhere, or name one of them: model(…, { name: "fast" }).' },
  )
