import { existsSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { styleText } from 'node:util'
import { findApp, displayPath } from './load-app.ts'

let inheritedEnv: NodeJS.ProcessEnv | undefined

/**
 * Sets the variables of the file `.env` beside the app that are not set already; without one there, of that in the folder that was
 * named, or in the working folder. What cannot be read is named, and nothing that is in it.
 */
export function loadEnvFile(app: string | undefined): void {
  inheritedEnv = { ...process.env }
  const file = [appFolder(app), app ?? '.', '.'].map(folder => join(folder, '.env')).find(each => existsSync(each))
  if (file === undefined) return
  try {
    process.loadEnvFile(file)
  } catch (error) {
    const { code = 'unreadable' } = error as NodeJS.ErrnoException
    const isFolder = statSync(file, { throwIfNoEntry: false })?.isDirectory()
    const mark = styleText('yellow', '!', { stream: process.stderr })
    process.stderr.write(
      `${mark} ${displayPath(file)} is left out: ${isFolder ? 'it is a folder' : `it cannot be read (${code})`}\n`,
    )
  }
}

/** The environment without what came of a file: for a process that reads the file itself, as it is by then. */
export const envWithoutFile = (): NodeJS.ProcessEnv => inheritedEnv ?? process.env

/** Of the app that is meant; a verb that needs one says itself what is wrong with it. */
function appFolder(app: string | undefined): string {
  try {
    return dirname(findApp(app))
  } catch {
    return '.'
  }
}
