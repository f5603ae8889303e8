import { readFileSync, realpathSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { manifest } from '../manifest.ts'

/** The folder of this package. */
const self = resolve(import.meta.dirname, '../..')

/** Tidings runs from its sources, so a project that depends on this folder needs `npm run build` there. */
export const isCheckout = import.meta.filename.endsWith('.ts')

interface LockedPackage {
  readonly resolved?: string
}

/**
 * Where npm got this installation from, as a dependency of a new project: a version of the registry, the URL of a tarball or of a Git
 * repository, or a file or folder.
 */
export function installedFrom(folder: string = self): string {
  const modules = dirname(folder)
  if (basename(modules) !== 'node_modules') return `file:${folder}`
  const { resolved } = lockedPackage(modules) ?? {}
  // Other package managers and global installations keep no such record.
  if (resolved === undefined || isOfRegistry(resolved)) return `^${manifest.version}`
  if (!resolved.startsWith('file:')) return resolved
  return `file:${resolve(dirname(realpathSync(modules)), resolved.slice('file:'.length))}`
}

/** What npm remembers about the package `tidings` in this folder. */
function lockedPackage(modules: string): LockedPackage | undefined {
  try {
    const lock = JSON.parse(readFileSync(join(modules, '.package-lock.json'), 'utf8')) as {
      packages?: Record<string, LockedPackage>
    }
    return lock.packages?.['node_modules/tidings']
  } catch {
    return undefined
  }
}

const isOfRegistry = (url: string) => /^https?:.*\/tidings\/-\/tidings-[^/]+\.tgz$/.test(url)
