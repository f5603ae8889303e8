const maxBytes = 200

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is taken out
const control = /[\u0000-\u001f\u007f-\u009f]+/g
// Marks that turn the direction of writing, so that `gpj.exe` is shown as `exe.jpg`, and what is not seen at all.
const unseen = /[\p{Cf}\p{Co}\u2028\u2029]+/gu
/** Names of devices on Windows, whatever stands behind their first dot. */
const device = /^(?:con|prn|aux|nul|com\d|lpt\d)(?=\s*(?:\.|$))/i

/**
 * A name that a file may be given in any folder of any system: no path, nothing that is not shown, no device, and at
 * most 200 bytes with its extension. null when nothing is left.
 */
export function safeFilename(name: string): string | null {
  const last = name.toWellFormed().split(/[/\\]/).at(-1)!
  const clean = last
    .replace(control, '')
    .replace(unseen, '')
    .replace(/[<>:"|?*]/g, '_')
    .normalize('NFC')
  const short = shortened(trimmed(clean).replace(device, '_$&'))
  return short === '' ? null : short
}

/** Systems pass over blanks and dots at the end, and hide what begins with a dot. */
function trimmed(name: string): string {
  let [start, end] = [0, name.length]
  while (start < end && /[\s.]/.test(name[start]!)) start++
  while (end > start && /[\s.]/.test(name[end - 1]!)) end--
  return name.slice(start, end)
}

function shortened(name: string): string {
  if (Buffer.byteLength(name) <= maxBytes) return name
  const extension = /\.[^.\s]{1,16}$/.exec(name)?.[0] ?? ''
  const room = maxBytes - Buffer.byteLength(extension)
  const stem = new TextDecoder().decode(Buffer.from(name).subarray(0, room)).replace(/\ufffd+$/, '')
  return trimmed(stem) + extension
}
