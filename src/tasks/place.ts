import { fileURLToPath } from 'node:url'

/* Where in the user's code something was said: for reports, never for decisions. */

const ours = new URL('..', import.meta.url).href
const frame = /[\s(]((?:file:\/\/|\/)[^\s()]+:\d+:\d+)\)?$/

/** `path:line:column` of the innermost frame that is neither of Tidings nor of Node; undefined when there is none. */
export function placeIn(stack: string | undefined): string | undefined {
  for (const line of stack?.split('\n') ?? []) {
    const place = frame.exec(line)?.[1]
    if (place && !place.startsWith(ours)) return place.startsWith('file:') ? pathOf(place) : place
  }
  return undefined
}

function pathOf(place: string): string {
  const [, url, position] = /^(.*?)(:\d+:\d+)$/.exec(place)!
  return fileURLToPath(url!) + position
}
