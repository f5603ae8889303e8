import { TidingsError } from '../errors.ts'
import type { ResolvedEffects } from '../replay/effects.ts'
import { provisionApp } from '../runtime/start.ts'
import { planRedrive, type PublishedRedrive, type RedrivePart } from '../runtime/operations/rerun.ts'
import { dim, tidings } from '../trace/paint.ts'
import { countText } from '../trace/text.ts'
import { effectLines, withEffects, type EffectOptions } from './effects.ts'
import { printResult, print, usageError, type GlobalOptions } from './output.ts'
import { isSelective, parseSelection, type SelectionOptions } from './selection.ts'

export interface RedriveOptions extends GlobalOptions, SelectionOptions, EffectOptions {
  type?: string[]
  dryRun?: boolean
}

/** `tidings redrive`: publishes events from outside again, as new events. */
export async function redriveCommand(options: RedriveOptions): Promise<void> {
  const { task, type, dryRun, json } = options
  if (!isSelective(options)) throw usageError('expected one of --correlation ID, --task ID or --since 24h')
  if (task !== undefined && type)
    throw usageError('--type cannot be combined with --task, because a task has one start')
  await withEffects(options, async (bus, app, ruled) => {
    const selection = await parseSelection(bus, options)
    if ('all' in selection) throw usageError('a whole log cannot be redriven: limit it with --since')
    const { parts, publish } = await planRedrive(bus, selection, type)
    if (parts.length === 0)
      throw new TidingsError('E_NOT_FOUND', 'the selection has no events from outside', {
        next: 'Widen the selection. The events of a keyed workflow have other correlations; `tidings trace` shows them.',
      })
    if (!dryRun) await provisionApp(app, bus)
    const published = dryRun ? undefined : await publish(ruled)
    for (const part of parts) await printPart(options, part, ruled, published)
    if (json) return
    if (published) await print(`as ${published.replay}`)
    await print(effectLines(ruled).join('\n'))
  })
}

async function printPart(
  options: RedriveOptions,
  { of, events }: RedrivePart,
  ruled: ResolvedEffects,
  published: PublishedRedrive | undefined,
) {
  const found = { of, events: events.map(({ id, type }) => ({ id, type })), effects: ruled.effects }
  const what = `${countText(events.length, 'event')}: ${[...new Set(events.map(event => event.type))].join(', ')}`
  if (!published) return printResult(options, found, [`would redrive ${of}`, dim(`  ${what}`)])
  const correlation = published.counterpart(of)
  return printResult(options, { ...found, correlation, mark: published.replay }, [
    `redrove ${of}`,
    dim(`  ${what}`),
    dim(`  as       ${correlation}`),
    dim(`  compare  ${tidings} trace ${of}`),
    dim(`  with     ${tidings} trace ${correlation}`),
  ])
}
