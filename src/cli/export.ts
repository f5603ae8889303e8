import type { Redactor } from '../bus/redact.ts'
import { writeSlice } from '../replay/slice-write.ts'
import { sourceFromBus } from '../replay/source.ts'
import { countText } from '../trace/text.ts'
import { findApp, findAppIfAny, loadApp } from './load-app.ts'
import { withExistingLog } from './log.ts'
import { usageError, type GlobalOptions } from './output.ts'
import { isSelective, parseSelection, type SelectionOptions } from './selection.ts'

export interface ExportOptions extends GlobalOptions, SelectionOptions {
  all?: boolean
  app?: string
  force?: boolean
}

/** `tidings export [FILE]`. The summary goes to standard error, because the slice may go to standard output. */
export async function exportCommand(file = '-', options: ExportOptions): Promise<void> {
  const { all = false, json, force = false } = options
  if (isSelective(options) === all)
    throw usageError('expected one of --correlation ID, --task ID, --since 24h or --all')
  const rules = await redactionRules(options.app)
  const summary = await withExistingLog(async bus =>
    writeSlice(sourceFromBus(bus, await parseSelection(bus, options)), file, { force, ...rules }),
  )
  const { events, turns, documents, redacted, missing } = summary
  const lines = [
    `exported ${countText(events, 'event')} (${countText(turns, 'turn')}) and ${countText(documents, 'document')}`,
    `redacted by the ${rules ? 'rules of the app' : 'built-in rules only, because there is no app file here: see --app'}`,
    ...(redacted > 0 ? [`redacted ${countText(redacted, 'event')} that the log has in clear`] : []),
  ]
  if (missing > 0)
    lines.push(
      `missing on the log: ${countText(missing, 'blob or document', 'blobs or documents')} that the events name`,
    )
  process.stderr.write(`${json ? JSON.stringify(summary) : lines.join('\n')}\n`)
}

/** The rules of the named app, or of the default one. They may be newer than the log. */
async function redactionRules(named: string | undefined): Promise<{ redactor: Redactor } | undefined> {
  const file = named === undefined ? findAppIfAny() : findApp(named)
  return file === undefined ? undefined : { redactor: (await loadApp(file)).app.redactor }
}
