import { globSync } from 'node:fs'
import { basename, join } from 'node:path'
import type { Control, Patch } from '../controls/control.ts'

const folder = join(import.meta.dirname, '../controls')

/** All controls by name, which is that of their file. */
export async function loadControls(): Promise<Map<string, Control>> {
  const controls = new Map<string, Control>()
  for (const file of globSync('*.ts', { cwd: folder }).toSorted()) {
    if (file === 'control.ts') continue
    const module = (await import(join(folder, file))) as { default: Control }
    controls.set(basename(file, '.ts'), module.default)
  }
  return controls
}

export const patchesOf = (control: Control): Patch[] => ('patches' in control ? control.patches : [control])

/** The files that a control changes, with their new text. Throws if a patch does not apply. */
export function applyControl(control: Control, read: (file: string) => string): Map<string, string> {
  const texts = new Map<string, string>()
  for (const { file, find, replace } of patchesOf(control)) {
    const text = texts.get(file) ?? read(file)
    const count = text.split(find).length - 1
    if (count !== 1)
      throw new Error(`"find" must occur exactly once in ${file} but occurs ${count} times; adapt the control: ${find}`)
    texts.set(
      file,
      text.replace(find, () => replace),
    )
  }
  return texts
}
