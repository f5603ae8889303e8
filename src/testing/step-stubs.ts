import type { Machine } from '../tasks/program.ts'
import type { StepContext } from '../tasks/steps.ts'
import { didYouMean } from '../suggest.ts'

/** Functions that run instead of inline steps, by the name of the step. */
export type Steps = Readonly<Record<string, (context: StepContext) => unknown>>

/** The stubs of the inline steps of an app. Steps have their names only when they run, so a misspelt stub shows at the end of a test. */
export class StepStubs {
  readonly #stubs: Steps
  readonly #used = new Set<string>()
  /** Steps that ran as they are. */
  readonly #real = new Set<string>()

  constructor(stubs: Steps) {
    this.#stubs = stubs
  }

  /** The same machine, which finds the functions of the test in place of its own steps. */
  applyTo(machine: Machine): Machine {
    const own = machine.step?.bind(machine)
    if (own)
      machine.step = call => {
        const step = own(call)
        if (!step) return undefined
        const run = Object.hasOwn(this.#stubs, step.name) ? this.#stubs[step.name] : undefined
        ;(run ? this.#used : this.#real).add(step.name)
        return run ? { ...step, run } : step
      }
    return machine
  }

  /** What is wrong with a stub that replaced nothing while other steps ran for real; undefined if nothing is. */
  get problem(): string | undefined {
    const unused = Object.keys(this.#stubs).find(name => !this.#used.has(name))
    if (unused === undefined || this.#real.size === 0) return undefined
    const ran = [...this.#real].map(name => `"${name}"`).join(', ')
    return `testApp(): no step "${unused}" ran, so \`steps\` replaced nothing by it, and these steps ran as they are: ${ran}${didYouMean(unused, this.#real)}`
  }
}
