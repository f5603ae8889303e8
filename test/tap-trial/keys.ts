import { glob, readFile } from 'node:fs/promises'
import { join } from 'node:path'

/** Where in the files of these folders something looks like this key. */
export async function keysIn(folders: readonly string[], pattern: RegExp): Promise<string[]> {
  const found: string[] = []
  for (const cwd of folders)
    for await (const file of glob('**', { cwd, withFileTypes: true })) {
      if (!file.isFile()) continue
      const path = join(file.parentPath, file.name)
      const [key] = pattern.exec(await readFile(path, 'latin1')) ?? []
      if (key !== undefined) found.push(`a key is in ${path}: ${key}`)
    }
  return found
}
