import type { Condition, Definition, Expression, Pattern, Step } from './definition.ts'
import type { InstanceState } from './state.ts'

/** The steps of a workflow and their order, with the state of each step if the graph is that of an instance. */
export interface Graph {
  readonly workflow: string
  readonly version: number
  readonly nodes: readonly GraphNode[]
  readonly edges: readonly GraphEdge[]
}

/** `open`: may still be reached. `passed`: done. `reached`: the end of the instance. `skipped`: another branch was taken. */
export type NodeState = 'open' | 'passed' | 'active' | 'reached' | 'skipped'

/** A step of a workflow as it is drawn. */
export interface GraphNode {
  /** Step id; `completed` and `failed` are the ends. */
  readonly id: string
  readonly kind: Step['kind'] | 'end'
  readonly label: string
  /** Only in the graph of an instance. */
  readonly state?: NodeState
  /** Progress of an active step, for people: `2 of 3`. */
  readonly progress?: string
}

/** A step that may follow another one. */
export interface GraphEdge {
  readonly from: string
  readonly to: string
  readonly label?: string
}

interface Exit {
  readonly from: string
  readonly label?: string
}

export function toGraph(definition: Definition, state?: InstanceState): Graph {
  const drawing = new GraphBuilder(state)
  for (const exit of drawing.block(definition.steps, [], false)) drawing.edge(exit, completed)
  const { name: workflow, version } = definition
  return { workflow, version, nodes: [...drawing.nodes, ...drawing.ends()], edges: drawing.edges }
}

const [completed, failed] = ['completed', 'failed']

class GraphBuilder {
  readonly nodes: GraphNode[] = []
  readonly edges: GraphEdge[] = []
  readonly #state: InstanceState | undefined
  /** Whether the current step of the instance is still to be drawn. */
  #isBefore = true

  constructor(state: InstanceState | undefined) {
    this.#state = state
  }

  /** Draws steps after these exits and returns the exits that stay open. */
  block(steps: readonly Step[], exits: readonly Exit[], isSkipped: boolean): readonly Exit[] {
    let open = exits
    for (const step of steps) open = this.#step(step, open, isSkipped)
    return open
  }

  edge({ from, label }: Exit, to: string) {
    this.edges.push({ from, to, ...(label !== undefined && { label }) })
  }

  ends(): GraphNode[] {
    const state = this.#state
    const hasFailed = state?.ending !== undefined
    const end = (id: string, label: string, isReached: boolean): GraphNode => ({
      id,
      kind: 'end',
      label,
      ...(state && { state: !state.ended ? 'open' : isReached ? 'reached' : 'skipped' }),
    })
    return [
      end(completed, 'completed', !hasFailed),
      ...(hasFailed || this.edges.some(({ to }) => to === failed) ? [end(failed, 'failed', hasFailed)] : []),
    ]
  }

  #step(step: Step, exits: readonly Exit[], isSkipped: boolean): readonly Exit[] {
    if (step.kind === 'repeat') return this.#repeat(step, exits, isSkipped)
    this.#node(step, exits, isSkipped)
    const here = { from: step.id }
    switch (step.kind) {
      case 'choose': {
        const way = this.#state?.ways?.[step.id]
        const yes = this.block(step.steps, [{ ...here, label: 'yes' }], isSkipped || way === false)
        const no = this.block(step.otherwise, [{ ...here, label: 'no' }], isSkipped || way === true)
        return [...yes, ...no]
      }
      case 'complete':
        this.edge(here, completed)
        return []
      case 'fail':
        this.edge(here, failed)
        return []
      case 'when':
      case 'call':
      case 'each':
      case 'parallel':
      case 'approve': {
        if (!step.otherwise) return [here]
        const isUntaken = this.#isPassed(step.id) && this.#state?.ways?.[step.id] !== false
        return [here, ...this.block(step.otherwise, [{ ...here, label: 'otherwise' }], isSkipped || isUntaken)]
      }
      case 'emit':
      case 'wait':
        return [here]
    }
  }

  #repeat(step: Extract<Step, { kind: 'repeat' }>, exits: readonly Exit[], isSkipped: boolean): readonly Exit[] {
    const first = this.nodes.length
    const open = this.block(step.steps, exits, isSkipped)
    this.#node(step, open, isSkipped)
    this.edge({ from: step.id, label: 'again' }, this.nodes[first]!.id)
    return [{ from: step.id, label: 'done' }]
  }

  #node(step: Step, exits: readonly Exit[], isSkipped: boolean) {
    for (const exit of exits) this.edge(exit, step.id)
    const state = this.#stateOf(step.id, isSkipped)
    const progress = state === 'active' ? progressOf(this.#state!) : undefined
    this.nodes.push({ id: step.id, kind: step.kind, label: labelOf(step), ...(state && { state }), ...(progress !== undefined && { progress }) }) // biome-ignore format: one node
  }

  #stateOf(id: string, isSkipped: boolean): NodeState | undefined {
    const state = this.#state
    if (!state) return undefined
    if (isSkipped) return 'skipped'
    if (state.at === id) {
      this.#isBefore = false
      return state.ended ? 'passed' : 'active'
    }
    return this.#isBefore && state.at !== undefined ? 'passed' : state.ended ? 'skipped' : 'open'
  }

  #isPassed(id: string) {
    return this.nodes.find(node => node.id === id)?.state === 'passed'
  }
}

function progressOf({ wait, open = {} }: InstanceState): string | undefined {
  if (wait?.kind === 'fan') return `${wait.results.filter(result => result !== null).length} of ${wait.items.length}`
  if (wait?.kind === 'when') {
    const taken = Object.values(wait.taken ?? {}).flat().length
    return taken > 0 ? `${taken} taken` : undefined
  }
  return Object.keys(open).length > 0 ? 'asked' : undefined
}

function labelOf(step: Step): string {
  switch (step.kind) {
    case 'when':
      return `${step.id}: ${patternText(step.pattern)}`
    case 'call':
      return `${step.as}: ${step.target.kind} ${step.target.name}${step.undo ? `, undo: ${step.undo.target.name}` : ''}`
    case 'each':
      return `${step.as}: each ${step.target.kind} ${step.target.name}`
    case 'parallel':
      return step.calls.map(({ as, target }) => `${as}: ${target.kind} ${target.name}`).join(', ')
    case 'approve':
      return `${step.as}: approve${step.who ? ` (${step.who.join(', ')})` : ''}`
    case 'emit':
      return step.target === undefined ? `emit ${step.type}` : `start ${step.target}`
    case 'wait':
      return 'after' in step.until ? `wait ${step.until.after}` : `wait until ${expressionText(step.until.moment)}`
    case 'choose':
      return `${conditionText(step.condition)}?`
    case 'repeat':
      return `until ${conditionText(step.until)}, at most ${step.most} times`
    case 'complete':
    case 'fail':
      return step.kind
  }
}

function patternText(pattern: Pattern): string {
  switch (pattern.kind) {
    case 'on':
      return pattern.type + (pattern.where ? ` where ${conditionText(pattern.where)}` : '')
    case 'count':
      return `${pattern.times} × ${patternText(pattern.of)}`
    case 'absent':
      return `no ${patternText(pattern.of)} for ${pattern.within}`
    case 'seq':
    case 'all':
    case 'any':
      return `${pattern.kind}(${pattern.of.map(patternText).join(', ')})`
  }
}

const signs = { is: '=', above: '>', atLeast: '≥', below: '<', atMost: '≤', includes: 'includes' } as const

function conditionText(condition: Condition): string {
  if ('compare' in condition)
    return `${expressionText(condition.left)} ${signs[condition.compare]} ${expressionText(condition.right)}`
  if ('exists' in condition) return `${expressionText(condition.exists)} exists`
  if ('not' in condition) return `not ${conditionText(condition.not)}`
  return 'both' in condition
    ? condition.both.map(conditionText).join(' and ')
    : `(${condition.either.map(conditionText).join(' or ')})`
}

function expressionText(expression: Expression): string {
  if ('ref' in expression) return expression.ref.join('.')
  if ('value' in expression) return JSON.stringify(expression.value)
  return 'text' in expression ? 'text' : 'fields' in expression ? '{…}' : '[…]'
}
