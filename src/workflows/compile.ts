import { deadlineFrom, milliseconds } from '../tasks/duration.ts'
import { digest } from '../tasks/turn.ts'
import type {
  ApproveStep, CallStep, CompleteStep, Condition, Definition, EachStep, EmitStep, FailStep, OnPattern, ParallelStep, Pattern, Step, WaitStep, WhenStep,
} from './definition.ts' // biome-ignore format: one list
import { patternLeaves } from './definition-tree.ts'

/*
 * The steps as a flat list of instructions. The position of an instance is an index into it:
 *
 *     choose   unless ─▶ otherwise      repeat   ┌▶ steps      with otherwise   when ───fails──▶ otherwise
 *              then                              └─ again                       jump ─▶ end
 *              jump ─▶ end
 */

export type Instruction =
  | { readonly op: 'when'; readonly step: WhenStep; readonly node: PatternNode; readonly types: ReadonlySet<string>; readonly failed?: number }
  | { readonly op: 'call'; readonly step: CallStep; readonly failed?: number }
  | { readonly op: 'fan'; readonly step: EachStep | ParallelStep; readonly failed?: number }
  | { readonly op: 'approve'; readonly step: ApproveStep; readonly failed?: number }
  | { readonly op: 'emit'; readonly step: EmitStep }
  | { readonly op: 'wait'; readonly step: WaitStep }
  | { readonly op: 'complete'; readonly step: CompleteStep }
  | { readonly op: 'fail'; readonly step: FailStep }
  | { readonly op: 'jump'; readonly to: number }
  | { readonly op: 'unless'; readonly id: string; readonly condition: Condition; readonly to: number }
  | { readonly op: 'again'; readonly id: string; readonly until: Condition; readonly maxRounds: number; readonly to: number } // biome-ignore format: one table

/** A pattern with numbered leaves and absences. An instance stores its progress under these numbers. */
export type PatternNode =
  | { readonly kind: 'on'; readonly leaf: number; readonly on: OnPattern }
  | { readonly kind: 'count'; readonly leaf: number; readonly on: OnPattern; readonly times: number }
  | { readonly kind: 'absent'; readonly absence: number; readonly of: PatternNode; readonly ms: number }
  | { readonly kind: 'seq' | 'all' | 'any'; readonly of: readonly PatternNode[] }

export class CompiledWorkflow {
  readonly definition: Definition
  /** Identifies the definition in turns and documents: the digest of what the code declares. */
  readonly hash: string
  readonly instructions: readonly Instruction[]
  /** Maximum duration of an instance in ms; null for none. */
  readonly within: number | null
  readonly #indexByStep = new Map<string, number>()
  readonly #indexesByType = new Map<string, number[]>()
  readonly #loops: (readonly [first: number, last: number])[] = []

  /** `hash`: of a definition that was read from the log, which has its secrets redacted and therefore another digest. */
  constructor(definition: Definition, hash = digest(definition)) {
    this.definition = definition
    this.hash = hash
    this.within = deadlineFrom(0, definition.within)
    const row: Instruction[] = []
    this.#block(definition.steps, row)
    this.instructions = row
    row.forEach((instruction, i) => {
      if ('step' in instruction) this.#indexByStep.set(instruction.step.id, i)
      if (instruction.op === 'when')
        for (const type of instruction.types)
          this.#indexesByType.set(type, [...(this.#indexesByType.get(type) ?? []), i])
    })
  }

  get types(): string[] {
    return [...this.#indexesByType.keys()]
  }

  indexOf(id: string): number | undefined {
    return this.#indexByStep.get(id)
  }

  /** Whether a step that can be reached from this index waits for the type. */
  isExpectedAfter(type: string, here: number): boolean {
    const indexes = this.#indexesByType.get(type)
    if (!indexes) return false
    if (indexes.at(-1)! > here) return true
    return this.#loops.some(
      ([first, last]) => first <= here && here <= last && indexes.some(at => first <= at && at <= last),
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
        row.push({ op: 'again', id: step.id, until: step.until, maxRounds: step.most, to: first })
        this.#loops.push([first, row.length - 1])
        return
      }
      case 'when':
        return this.#fallible(step, row, failed => ({
          op: 'when',
          step,
          node: numbered(step.pattern),
          types: new Set(patternLeaves(step.pattern).map(({ type }) => type)),
          ...failed,
        }))
      case 'each':
      case 'parallel':
        return this.#fallible(step, row, failed => ({ op: 'fan', step, ...failed }))
      case 'call':
      case 'approve':
        return this.#fallible(step, row, failed => ({ op: step.kind, step, ...failed }) as Instruction)
      case 'emit':
      case 'wait':
      case 'complete':
      case 'fail':
        row.push({ op: step.kind, step } as Instruction)
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

function numbered(pattern: Pattern): PatternNode {
  let [leaves, absences] = [0, 0]
  const number = (each: Pattern): PatternNode => {
    if (each.kind === 'on') return { kind: 'on', leaf: leaves++, on: each }
    if (each.kind === 'count') return { kind: 'count', leaf: leaves++, on: each.of, times: each.times }
    if (each.kind === 'absent')
      return { kind: 'absent', absence: absences++, of: number(each.of), ms: milliseconds(each.within) }
    return { kind: each.kind, of: each.of.map(number) }
  }
  return number(pattern)
}
