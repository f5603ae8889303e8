import { existsSync, readFileSync, statSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { TidingsError } from '../errors.ts'
import { sourceLocation } from '../stack.ts'
import type { App } from '../runtime/app.ts'
import { tidings } from '../trace/paint.ts'

const defaultFiles = ['app.ts', 'app.js', 'src/app.ts']

/** The named app file, or the default one of a folder. @throws E_APP_INVALID */
export function findApp(named: string | undefined): string {
  const path = resolve(named ?? '.')
  const found = statSync(path, { throwIfNoEntry: false })
  if (found?.isFile()) return path
  if (!found) throw new TidingsError('E_APP_INVALID', `the file "${displayPath(path)}" does not exist`)
  const declared = declaredFile(path)
  const candidates = declared === undefined ? defaultFiles : [declared]
  const file = candidates.map(each => join(path, each)).find(each => existsSync(each))
  if (file) return file
  throw new TidingsError(
    'E_APP_INVALID',
    `"${displayPath(path)}" has no ${candidates.join(', ')}. Name the app file, or create a project: ${tidings} init FOLDER`,
  )
}

/** Like {@link findApp}; undefined if there is none. */
export function findAppIfAny(named?: string): string | undefined {
  try {
    return findApp(named)
  } catch {
    return undefined
  }
}

/** Loads an app file, in TypeScript or JavaScript. @throws E_APP_INVALID, or the TidingsError that the file throws */
export async function loadApp(file: string): Promise<{ app: App; module: string }> {
  const module = pathToFileURL(file).href
  const loaded = await importApp(file, module)
  const app = loaded.default as Partial<App> | null | undefined
  if (app?.kind !== 'app' || !Array.isArray(app.agents)) {
    const what = loaded.default === undefined ? 'has no default export' : 'has a default export that is not an app'
    throw new TidingsError('E_APP_INVALID', `${displayPath(file)} ${what}`)
  }
  return { app: app as App, module }
}

async function importApp(file: string, module: string): Promise<{ default?: unknown }> {
  try {
    return await import(module)
  } catch (cause) {
    // Another copy of Tidings may have thrown it: its class differs.
    if (isTidingsError(cause)) throw new TidingsError(cause.code, cause.message, { cause })
    throw new TidingsError('E_APP_INVALID', `${displayPath(file)} cannot be loaded: ${describeImportError(cause)}`, {
      cause,
    })
  }
}

const isTidingsError = (error: unknown): error is TidingsError =>
  error instanceof Error && error.name === 'TidingsError' && 'code' in error

/** The message with its location. Node puts the location of a syntax error in front of the stack. */
function describeImportError(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const { name, message, stack = '' } = error
  const excerpt = name === 'SyntaxError' ? stack.slice(0, stack.indexOf('\nSyntaxError')).trim() : ''
  if (excerpt.includes('\n')) return `${message}\n\n${excerpt}\n`
  const location = sourceLocation(stack)
  return location && !location.includes('node_modules') ? `${message} (${displayPath(location)})` : message
}

function declaredFile(folder: string): string | undefined {
  try {
    const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { tidings?: { app?: unknown } }
    return typeof manifest.tidings?.app === 'string' ? manifest.tidings.app : undefined
  } catch {
    return undefined
  }
}

/** Relative to the working folder where it is inside. */
export function displayPath(path: string): string {
  const short = relative('.', path)
  return short.startsWith('..') ? path : short || '.'
}
