import { deadlineFrom, milliseconds } from '../tasks/duration.ts'
import { digest } from '../tasks/turn.ts'
import type {
  ApproveStep, CallStep, CompleteStep, Condition, Definition, EachStep, EmitStep, FailStep, OnPattern, ParallelStep, Pattern, Step, WaitStep, WhenStep,
} from './definition.ts' // biome-ignore format: one list
import { leavesOf } from './tree.ts'

/*
 * The steps in one row. Where an instance stands is a number; what it does next needs no search:
 *
 *     choose   unless ─▶ otherwise      repeat   ┌▶ steps      with otherwise   when ───fails──▶ otherwise
 *              then                              └─ again                       jump ─▶ end
 *              jump ─▶ end
 */

export type Instruction =
  | { readonly op: 'when'; readonly step: WhenStep; readonly node: Node; readonly types: ReadonlySet<string>; readonly failed?: number }
  | { readonly op: 'call'; readonly step: CallStep; readonly failed?: number }
  | { readonly op: 'fan'; readonly step: EachStep | ParallelStep; readonly failed?: number }
  | { readonly op: 'approve'; readonly step: ApproveStep; readonly failed?: number }
  | { readonly op: 'emit'; readonly step: EmitStep }
  | { readonly op: 'wait'; readonly step: WaitStep }
  | { readonly op: 'complete'; readonly step: CompleteStep }
  | { readonly op: 'fail'; readonly step: FailStep }
  | { readonly op: 'jump'; readonly to: number }
  | { readonly op: 'unless'; readonly id: string; readonly condition: Condition; readonly to: number }
  | { readonly op: 'again'; readonly id: string; readonly until: Condition; readonly most: number; readonly to: number } // biome-ignore format: one table

/** A pattern whose events and absences are numbered from left to right: an instance keeps what came under the number. */
export type Node =
  | { readonly kind: 'on'; readonly leaf: number; readonly on: OnPattern }
  | { readonly kind: 'count'; readonly leaf: number; readonly on: OnPattern; readonly times: number }
  | { readonly kind: 'absent'; readonly absence: number; readonly of: Node; readonly ms: number }
  | { readonly kind: 'seq' | 'all' | 'any'; readonly of: readonly Node[] }

export class Code {
  readonly definition: Definition
  /** Digest of the definition: names it in turns, and in the log. */
  readonly hash: string
  readonly row: readonly Instruction[]
  /** ms; null for ever. */
  readonly within: number | null
  readonly #places = new Map<string, number>()
  readonly #waiting = new Map<string, number[]>()
  readonly #loops: (readonly [first: number, last: number])[] = []

  constructor(definition: Definition) {
    this.definition = definition
    this.hash = digest(definition)
    this.within = deadlineFrom(0, definition.within)
    const row: Instruction[] = []
    this.#block(definition.steps, row)
    this.row = row
    row.forEach((instruction, i) => {
      if ('step' in instruction) this.#places.set(instruction.step.id, i)
      if (instruction.op === 'when')
        for (const type of instruction.types) this.#waiting.set(type, [...(this.#waiting.get(type) ?? []), i])
    })
  }

  get types(): string[] {
    return [...this.#waiting.keys()]
  }

  /** Where the step stands; undefined when there is none. */
  place(id: string): number | undefined {
    return this.#places.get(id)
  }

  /** Whether an instance that stands here may still come to a step that waits for the type. */
  isWantedLater(type: string, here: number): boolean {
    const places = this.#waiting.get(type)
    if (!places) return false
    if (places.at(-1)! > here) return true
    return this.#loops.some(
      ([first, last]) => first <= here && here <= last && places.some(at => first <= at && at <= last),
    )
  }

  #block(steps: readonly Step[], row: Instruction[]) {
    for (const step of steps) this.#step(step, row)
  }

  #step(step: Step, row: Instruction[]) {
    switch (step.kind) {
      case 'choose': {
        const unless = row.push({ op: 'jump', to: 0 }) - 1
        this.#block(step.steps, row)
        const jump = row.push({ op: 'jump', to: 0 }) - 1
        row[unless] = { op: 'unless', id: step.id, condition: step.condition, to: row.length }
        this.#block(step.otherwise, row)
        row[jump] = { op: 'jump', to: row.length }
        return
      }
      case 'repeat': {
        const first = row.length
        this.#block(step.steps, row)
        row.push({ op: 'again', id: step.id, until: step.until, most: step.most, to: first })
        this.#loops.push([first, row.length - 1])
        return
      }
      case 'when':
        return this.#fallible(step, row, failed => ({
          op: 'when',
          step,
          node: numbered(step.pattern),
          types: new Set(leavesOf(step.pattern).map(({ type }) => type)),
          ...failed,
        }))
      case 'call':
        return this.#fallible(step, row, failed => ({ op: 'call', step, ...failed }))
      case 'each':
      case 'parallel':
        return this.#fallible(step, row, failed => ({ op: 'fan', step, ...failed }))
      case 'approve':
        return this.#fallible(step, row, failed => ({ op: 'approve', step, ...failed }))
      case 'emit':
        row.push({ op: 'emit', step })
        return
      case 'wait':
        row.push({ op: 'wait', step })
        return
      case 'complete':
        row.push({ op: 'complete', step })
        return
      case 'fail':
        row.push({ op: 'fail', step })
    }
  }

  #fallible(
    step: WhenStep | CallStep | EachStep | ParallelStep | ApproveStep,
    row: Instruction[],
    make: (failed: { failed?: number }) => Instruction,
  ) {
    if (!step.otherwise) return void row.push(make({}))
    row.push(make({ failed: row.length + 2 }))
    const jump = row.push({ op: 'jump', to: 0 }) - 1
    this.#block(step.otherwise, row)
    row[jump] = { op: 'jump', to: row.length }
  }
}

function numbered(pattern: Pattern): Node {
  let [leaves, absences] = [0, 0]
  const number = (each: Pattern): Node => {
    if (each.kind === 'on') return { kind: 'on', leaf: leaves++, on: each }
    if (each.kind === 'count') return { kind: 'count', leaf: leaves++, on: each.of, times: each.times }
    if (each.kind === 'absent')
      return { kind: 'absent', absence: absences++, of: number(each.of), ms: milliseconds(each.within) }
    return { kind: each.kind, of: each.of.map(number) }
  }
  return number(pattern)
}
