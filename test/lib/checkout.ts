import { execFileSync } from 'node:child_process'
import { cpSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'

const root = join(import.meta.dirname, '../..')

/** Copies the project to a folder, as its files are now, so that what a test builds or changes there disturbs no other test. */
export function copyCheckout(folder: string): void {
  const list = (...options: string[]) =>
    execFileSync('git', ['ls-files', '-z', ...options], { cwd: root })
      .toString()
      .split('\0')
  const deleted = new Set(list('--deleted'))
  for (const file of list('--cached', '--others', '--exclude-standard'))
    if (file !== '' && file !== 'node_modules' && !deleted.has(file)) cpSync(join(root, file), join(folder, file))
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
}
