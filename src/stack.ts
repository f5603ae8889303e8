import { relative } from 'node:path'
import { fileURLToPath } from 'node:url'

/*
 * Source locations in the user's code, for people and reports, never for decisions. Frames of Node and of Tidings are left
 * out. Nothing here throws, for any thrown value.
 */

// Bundlers would take `new URL('.', …)` for a file of a page.
const ours = import.meta.url.replace(/[^/]*$/, '')
const oursAsPath = fileURLToPath(ours)
const framePattern = /^\s*at (?:async )?(?:(.+?) \()?((?:file:\/\/|\/)[^\s()]+:\d+:\d+)\)?$/
const maxStack = 2_048
const maxCauses = 8

interface Frame {
  readonly name: string | undefined
  /** `path:line:column`. */
  readonly location: string
}

/** `path:line:column` of the innermost frame of the user's code; undefined if there is none. */
export function sourceLocation(stack: string | undefined): string | undefined {
  for (const frame of framesOf(stack)) return frame.location
  return undefined
}

/**
 * The line of the user's code that made a call, directly or through a library; undefined if Tidings made it. `stack`: from
 * the caller on.
 */
export function callerLocation(stack: string | undefined): string | undefined {
  let library: string | undefined
  for (const line of stack?.split('\n') ?? []) {
    const at = framePattern.exec(line)?.[2]
    if (at === undefined) continue
    if (isOurs(at)) break
    if (!at.includes('/node_modules/')) return locationOf(at)
    library ??= locationOf(at)
  }
  return library
}

/** A path relative to the working directory, if it is inside it. */
export function shortPath(path: string): string {
  const short = relative('.', path)
  return short === '' || short.startsWith('..') ? path : short
}

/** The frames of the user's code and of the causes, one per line, at most 2,048 characters; undefined if there are none. */
export function stackOf(thrown: unknown): string | undefined {
  try {
    const lines: string[] = []
    const seen = new Set<unknown>()
    for (let error = thrown; isObject(error) && !seen.has(error) && seen.size < maxCauses; error = error.cause) {
      seen.add(error)
      const frames = [...framesOf(textIn(error.stack))]
        .filter(({ location: place }) => !place.includes('/node_modules/'))
        .map(formatFrame)
      // A cause mostly has the same frames as its error.
      const added = frames.filter(frame => !lines.includes(frame))
      if (added.length > 0) lines.push(...(lines.length > 0 ? [`caused by ${nameOf(error)}`] : []), ...added)
    }
    return truncateStack(lines.join('\n')) || undefined
  } catch {
    return undefined
  }
}

/** The source location of an agent, as a line of a stack. */
export const formatLocation = (name: string, place: string) => formatFrame({ name, location: place })

/** Truncates a stack to whole lines, to the size limit of an error. */
export function truncateStack(stack: string): string {
  return stack.length <= maxStack ? stack : stack.slice(0, Math.max(0, stack.lastIndexOf('\n', maxStack)))
}

function* framesOf(stack: string | undefined): Iterable<Frame> {
  for (const line of stack?.split('\n') ?? []) {
    const [, name, at] = framePattern.exec(line) ?? []
    if (at !== undefined && !isOurs(at)) yield { name, location: locationOf(at) }
  }
}

const isOurs = (at: string) => at.startsWith(ours) || at.startsWith(oursAsPath)
const locationOf = (at: string) => (at.startsWith('file:') ? pathOf(at) : at)

function formatFrame({ name: called, location: place }: Frame): string {
  const name = called?.replace(/^Object\.| \[as \w+\]$/g, '')
  const [, path, position] = /^(.*?)(:\d+:\d+)$/.exec(place)!
  const at = `${shortPath(path!)}${position}`
  return name === undefined ? `at ${at}` : `at ${name} (${at})`
}

function pathOf(place: string): string {
  const [, url, position] = /^(.*?)(:\d+:\d+)$/.exec(place)!
  return fileURLToPath(url!) + position
}

const isObject = (value: unknown): value is { stack?: unknown; cause?: unknown; name?: unknown } =>
  typeof value === 'object' && value !== null
const textIn = (value: unknown) => (typeof value === 'string' ? value : undefined)
const nameOf = ({ name }: { name?: unknown }) =>
  typeof name === 'string' && /^\w{1,64}$/.test(name) ? name : 'an error'
