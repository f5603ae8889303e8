import type { Bus } from '../../bus/bus.ts'
import { Pauses, type PausableKind } from '../../bus/pauses.ts'
import { TidingsError } from '../../errors.ts'
import type { Draft } from '../../event.ts'
import { didYouMean } from '../../suggest.ts'
import { hostedNames } from '../../tasks/hosts.ts'

export const pausableKinds = ['agent', 'tool', 'model'] satisfies PausableKind[]
const maxNames = 20

/** Rejects a name that was never hosted on this log, and suggests one. @throws E_NOT_FOUND */
export async function assertEverHosted(bus: Bus, kind: PausableKind, name: string): Promise<void> {
  const hosted = await hostedNames(bus)
  if (hosted[kind].includes(name)) return
  const other = pausableKinds.find(each => hosted[each].includes(name))
  const names = hosted[kind]
  const others = names.length === 0 ? '' : `; known names: ${names.slice(0, maxNames).join(', ')}`
  const suggestion = other ? `; there is a ${other} with this name` : didYouMean(name, names) || others
  throw new TidingsError('E_NOT_FOUND', `no worker on this log has ever hosted the ${kind} "${name}"${suggestion}`)
}

/**
 * Pauses or resumes an agent, tool or model. Pausing a misspelt name would have no effect, so it is refused; a name that is gone may be
 * resumed. Resolves with whether anything changed. `by`: attributes of the event that reports it. @throws E_NOT_FOUND, E_USAGE
 */
export async function setPaused(
  bus: Bus,
  { kind, name }: { readonly kind: PausableKind; readonly name: string },
  paused: boolean,
  by?: Omit<Draft, 'type' | 'data'>,
): Promise<boolean> {
  const pauses = new Pauses(bus)
  if (paused || !(await pauses.isPaused(kind, name))) await assertEverHosted(bus, kind, name)
  return pauses.set(kind, name, paused, by)
}
