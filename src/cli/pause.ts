import type { Bus } from '../bus/bus.ts'
import { Pauses, type Pausable } from '../bus/pauses.ts'
import { TidingsError } from '../errors.ts'
import { didYouMean } from '../suggest.ts'
import { dim } from '../trace/text.ts'
import { hostedOn } from './hosted.ts'
import { withExistingLog } from './log.ts'
import { answer, type Globals } from './out.ts'

const kinds = ['agent', 'tool', 'model'] satisfies Pausable[]
const maxNames = 20

/** `tidings pause KIND NAME` and `tidings resume KIND NAME` */
export async function pause(kind: string, name: string, paused: boolean, options: Globals): Promise<void> {
  if (!isPausable(kind))
    throw new TidingsError('E_USAGE', `"${kind}" cannot be paused: say agent, tool or model, then its name`)
  const changed = await withExistingLog(async bus => {
    const pauses = new Pauses(bus)
    // Resuming is always safe, and takes back a pause of a name that is gone.
    if (paused || !(await pauses.isPaused(kind, name))) await assertKnown(bus, kind, name)
    return pauses.set(kind, name, paused)
  })
  const state = paused ? 'paused' : 'running'
  const next = paused
    ? `  what arrives for it is kept; hand it out with: tidings resume ${kind} ${name}`
    : '  what was kept for it meanwhile is handed out again'
  await answer(options, { kind, name, state, changed }, [
    `${kind} ${name} ${changed ? 'is now' : 'was already'} ${state}`,
    ...(changed ? [dim(next)] : []),
  ])
}

/** A misspelt name would be paused without any effect. @throws E_NOT_FOUND */
async function assertKnown(bus: Bus, kind: Pausable, name: string) {
  const hosted = await hostedOn(bus)
  if (hosted[kind].includes(name)) return
  throw new TidingsError(
    'E_NOT_FOUND',
    `no worker on this log has ever hosted the ${kind} "${name}"${proposed(hosted, kind, name)}`,
  )
}

function proposed(hosted: Record<Pausable, readonly string[]>, kind: Pausable, name: string): string {
  const other = kinds.find(each => hosted[each].includes(name))
  if (other) return `; it is of kind ${other}`
  const names = hosted[kind]
  const others = names.length === 0 ? '' : `; there are: ${names.slice(0, maxNames).join(', ')}`
  return didYouMean(name, names) || others
}

const isPausable = (kind: string): kind is Pausable => (kinds as readonly string[]).includes(kind)
