import { existsSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { styleText } from 'node:util'
import { findAppIfAny, displayPath } from './load-app.ts'

let inheritedEnv: NodeJS.ProcessEnv | undefined

/**
 * Sets the variables of the file `.env` beside the app, or in the named folder, or in the working folder, unless they are set. A file
 * that cannot be read is named in a warning; its content is never printed.
 */
export function loadEnvFile(app: string | undefined): void {
  inheritedEnv = { ...process.env }
  // An invalid app is reported by the command that needs it.
  const found = findAppIfAny(app) ?? '.'
  const file = [dirname(found), app ?? '.', '.'].map(folder => join(folder, '.env')).find(each => existsSync(each))
  if (file === undefined) return
  try {
    process.loadEnvFile(file)
  } catch (error) {
    const { code = 'unreadable' } = error as NodeJS.ErrnoException
    const isFolder = statSync(file, { throwIfNoEntry: false })?.isDirectory()
    const mark = styleText('yellow', '!', { stream: process.stderr })
    process.stderr.write(
      `${mark} ${displayPath(file)} is ignored: ${isFolder ? 'it is a folder' : `it cannot be read (${code})`}\n`,
    )
  }
}

/** The environment without the variables of the file, for a child that reads the file itself. */
export const envWithoutFile = (): NodeJS.ProcessEnv => inheritedEnv ?? process.env
