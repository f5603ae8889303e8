import { createWriteStream } from 'node:fs'
import { mkdtempDisposable } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { importFrom } from '../replay/slice-import.ts'
import { sourceFromFile } from '../replay/source.ts'
import { dim } from '../trace/paint.ts'
import { countText } from '../trace/text.ts'
import { withLog } from './log.ts'
import { printResult, type GlobalOptions } from './output.ts'

export async function importCommand(file: string, options: GlobalOptions): Promise<void> {
  if (file === '-') return importStdin(options)
  const imported = await withLog(bus => importFrom(sourceFromFile(file), bus))
  const { events, turns, withoutBeginning } = imported
  await printResult(options, imported, [
    `imported ${countText(events, 'event')} (${countText(turns, 'turn')})`,
    ...(withoutBeginning === 0 ? [] : [dim(`${countText(withoutBeginning, 'turn')} ${cannotReplay}`)]),
  ])
}

const cannotReplay = 'of tasks that start before the slice: you can read them, but not replay them'

/** The import reads the slice twice, so it is stored in a file first. */
async function importStdin(options: GlobalOptions): Promise<void> {
  await using folder = await mkdtempDisposable(join(tmpdir(), 'tidings-import-'))
  const file = join(folder.path, 'slice.jsonl')
  await pipeline(process.stdin, createWriteStream(file))
  await importCommand(file, options)
}
