import { EventEmitter, on } from 'node:events'
import { basename, relative, sep } from 'node:path'
import { watch } from 'chokidar'

const debounceMs = 100

/** Yields a changed code file below `folder` when no more changes follow, until the signal aborts. */
export async function* watchCode(folder: string, signal: AbortSignal): AsyncGenerator<string> {
  const settled = new EventEmitter()
  const watcher = watch(folder, {
    ignoreInitial: true,
    ignored: (path, stats) => !isCode(folder, path, stats?.isFile() ?? false),
  })
  let timer: NodeJS.Timeout | undefined
  watcher.on('all', (_, file) => {
    clearTimeout(timer)
    timer = setTimeout(() => settled.emit('quiet', relative(folder, file)), debounceMs)
  })
  try {
    for await (const [file] of on(settled, 'quiet', { signal })) yield file as string
  } catch (error) {
    if (!signal.aborted) throw error
  } finally {
    clearTimeout(timer)
    await watcher.close()
  }
}

// Other files that the app writes beside its code do not restart it.
function isCode(folder: string, path: string, isFile: boolean): boolean {
  const parts = relative(folder, path).split(sep)
  if (parts.some(part => part === 'node_modules' || (part.startsWith('.') && part !== '.env'))) return false
  return !isFile || /\.[cm]?[jt]s$|^package\.json$|^\.env$/.test(basename(path))
}
