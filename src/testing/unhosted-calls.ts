import { TidingsError } from '../errors.ts'
import type { CloudEvent } from '../event.ts'
import type { App } from '../runtime/app.ts'
import { didYouMean } from '../suggest.ts'

const kinds: Partial<Record<string, 'agent' | 'tool' | 'model'>> = {
  'agent.invoke': 'agent',
  'tool.invoke': 'tool',
  'model.invoke': 'model',
}

/** Finds calls that nobody can answer: in a test no other worker hosts what the app does not. */
export class UnhostedCalls {
  readonly #hosted: Readonly<Record<'agent' | 'tool' | 'model', readonly string[]>>
  /** The first one. */
  error: TidingsError | undefined

  constructor({ programs, tools, models }: App) {
    const names = (of: readonly { readonly name: string }[]) => of.map(({ name }) => name)
    this.#hosted = { agent: names(programs), tool: names(tools), model: names(models) }
  }

  see({ type, target, replyto, source }: CloudEvent): void {
    const kind = kinds[type]
    // `$…`: answered by the runtime, in a redrive or fork.
    if (!kind || target === undefined || target.startsWith('$') || this.#hosted[kind].includes(target)) return
    this.error ??= new TidingsError(
      'E_NOT_FOUND',
      `"${replyto ?? source}" calls the ${kind} "${target}", which the app does not host${didYouMean(target, this.#hosted[kind])}`,
      {
        next: 'Add it to `use` of the app under test: no other worker can host it here, and the call would wait for its whole timeout.',
      },
    )
  }
}
