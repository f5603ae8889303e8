import { trimWhere } from './fields.ts'

const maxBytes = 200

// biome-ignore lint/suspicious/noControlCharactersInRegex: removes control characters
const controlCharacters = /[\u0000-\u001f\u007f-\u009f]+/g
// Invisible characters, and marks that reverse the direction so that `gpj.exe` is shown as `exe.jpg`.
const invisible = /[\p{Cf}\p{Co}\u2028\u2029]+/gu
/** Names of devices on Windows, with any extension. */
const windowsDevice = /^(?:con|prn|aux|nul|com\d|lpt\d)(?=\s*(?:\.|$))/i

/**
 * A file name that is safe on every system: no path, no invisible characters, no device, at most 200 bytes with its
 * extension. null if nothing is left.
 */
export function safeFilename(name: string): string | null {
  const base = name.toWellFormed().split(/[/\\]/).at(-1)!
  const clean = base
    .replace(controlCharacters, '')
    .replace(invisible, '')
    .replace(/[<>:"|?*]/g, '_')
    .normalize('NFC')
  const short = shortened(trimmed(clean).replace(windowsDevice, '_$&'))
  return short === '' ? null : short
}

/** Systems ignore trailing blanks and dots, and hide names that start with a dot. */
const trimmed = (name: string) => trimWhere(name, char => /[\s.]/.test(char))

function shortened(name: string): string {
  if (Buffer.byteLength(name) <= maxBytes) return name
  const extension = /\.[^.\s]{1,16}$/.exec(name)?.[0] ?? ''
  const room = maxBytes - Buffer.byteLength(extension)
  const stem = new TextDecoder().decode(Buffer.from(name).subarray(0, room)).replace(/\ufffd+$/, '')
  return trimmed(stem) + extension
}
