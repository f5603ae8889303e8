import type { OnPattern, Pattern, Step, Target } from './definition.ts'

/* Traverses a definition: nested steps, awaited events, stored names. */

type Block = readonly Step[]

function blocksOf(step: Step): Block[] {
  if (step.kind === 'choose') return [step.steps, step.otherwise]
  if (step.kind === 'repeat') return [step.steps]
  return 'otherwise' in step && step.otherwise ? [step.otherwise] : []
}

export function mapBlocks(step: Step, change: (block: Block) => Block): Step {
  if (step.kind === 'choose') return { ...step, steps: change(step.steps), otherwise: change(step.otherwise) }
  if (step.kind === 'repeat') return { ...step, steps: change(step.steps) }
  return 'otherwise' in step && step.otherwise ? { ...step, otherwise: change(step.otherwise) } : step
}

export function stepsIn(block: Block): Step[] {
  return block.flatMap(step => [step, ...blocksOf(step).flatMap(stepsIn)])
}

/** The events in a pattern, from left to right. */
export function patternLeaves(pattern: Pattern): OnPattern[] {
  if (pattern.kind === 'on') return [pattern]
  if (pattern.kind === 'count' || pattern.kind === 'absent') return patternLeaves(pattern.of)
  return pattern.of.flatMap(patternLeaves)
}

export function keptNames(step: Step): string[] {
  if (step.kind === 'when') return [...new Set(patternLeaves(step.pattern).flatMap(({ as }) => as ?? []))]
  if (step.kind === 'parallel') return step.calls.map(({ as }) => as)
  return 'as' in step ? [step.as] : []
}

/** What the steps call. */
export function targetsIn(steps: Block): Target[] {
  return stepsIn(steps).flatMap(step => {
    if (step.kind === 'parallel') return step.calls.map(({ target }) => target)
    if (step.kind === 'each') return [step.target]
    return step.kind === 'call' ? [step.target, ...(step.undo ? [step.undo.target] : [])] : []
  })
}

export function eventTypes(steps: Block): string[] {
  const types = stepsIn(steps).flatMap(step =>
    step.kind === 'when' ? patternLeaves(step.pattern).map(leaf => leaf.type) : [],
  )
  return [...new Set(types)]
}
