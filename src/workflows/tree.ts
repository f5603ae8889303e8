import type { OnPattern, Pattern, Step } from './definition.ts'

/* How a definition hangs together: which steps lie in which, which events it waits for, what it keeps. */

type Block = readonly Step[]

/** The blocks that lie in a step. */
function blocksOf(step: Step): Block[] {
  if (step.kind === 'choose') return [step.steps, step.otherwise]
  if (step.kind === 'repeat') return [step.steps]
  return 'otherwise' in step && step.otherwise ? [step.otherwise] : []
}

/** The step with other blocks in it. */
export function withBlocks(step: Step, change: (block: Block) => Block): Step {
  if (step.kind === 'choose') return { ...step, steps: change(step.steps), otherwise: change(step.otherwise) }
  if (step.kind === 'repeat') return { ...step, steps: change(step.steps) }
  return 'otherwise' in step && step.otherwise ? { ...step, otherwise: change(step.otherwise) } : step
}

/** The steps of a block, with those that lie in them, in the order in which they are written. */
export function stepsIn(block: Block): Step[] {
  return block.flatMap(step => [step, ...blocksOf(step).flatMap(stepsIn)])
}

/** The events that a pattern is made of, from left to right. */
export function leavesOf(pattern: Pattern): OnPattern[] {
  if (pattern.kind === 'on') return [pattern]
  if (pattern.kind === 'count' || pattern.kind === 'absent') return leavesOf(pattern.of)
  return pattern.of.flatMap(leavesOf)
}

/** The names under which a step keeps something. */
export function namesOf(step: Step): string[] {
  if (step.kind === 'when') return [...new Set(leavesOf(step.pattern).flatMap(({ as }) => as ?? []))]
  if (step.kind === 'parallel') return step.calls.map(({ as }) => as)
  return 'as' in step ? [step.as] : []
}

/** The types of events that the steps wait for. */
export function eventTypes(steps: Block): string[] {
  const types = stepsIn(steps).flatMap(step =>
    step.kind === 'when' ? leavesOf(step.pattern).map(leaf => leaf.type) : [],
  )
  return [...new Set(types)]
}
