/* Decoders with linear time. The output is never larger than the input, except for character sets. */

/** Decodes a Content-Transfer-Encoding; an unknown one leaves the bytes unchanged. */
export function decodeTransferEncoding(bytes: Buffer, encoding: string): Buffer {
  if (encoding === 'base64') return decodeBase64(bytes)
  return encoding === 'quoted-printable' ? decodeQuotedPrintable(bytes) : bytes
}

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'
const digits = new Int8Array(256).fill(-1)
for (let value = 0; value < alphabet.length; value++) digits[alphabet.charCodeAt(value)] = value

/** Skips other characters. `=` ends a unit, and another may follow, because some mailers pad each line. */
function decodeBase64(bytes: Buffer): Buffer {
  const out = Buffer.allocUnsafe(Math.ceil((bytes.length * 3) / 4))
  let [length, bits, accumulator] = [0, 0, 0]
  for (const byte of bytes) {
    const digit = digits[byte]!
    if (digit >= 0) {
      accumulator = ((accumulator << 6) | digit) & 0xffff
      bits += 6
      if (bits >= 8) {
        bits -= 8
        out[length++] = accumulator >> bits
      }
    } else if (byte === 61) bits = 0
  }
  return out.subarray(0, length)
}

/** An invalid `=` sequence stays unchanged. */
function decodeQuotedPrintable(bytes: Buffer): Buffer {
  const out = Buffer.allocUnsafe(bytes.length)
  let length = 0
  for (let at = 0; at < bytes.length; at++) {
    if (bytes[at] !== 61) {
      out[length++] = bytes[at]!
      continue
    }
    const [high, low] = [hexDigit(bytes[at + 1]), hexDigit(bytes[at + 2])]
    let end = at + 1
    while (bytes[end] === 32 || bytes[end] === 9) end++
    if (high >= 0 && low >= 0) {
      out[length++] = (high << 4) | low
      at += 2
    } else if (bytes[end] === 13 || end === bytes.length) at = end + 1
    else out[length++] = 61
  }
  return out.subarray(0, length)
}

function hexDigit(byte = 0): number {
  if (byte >= 48 && byte <= 57) return byte - 48
  const letter = byte & ~32
  return letter >= 65 && letter <= 70 ? letter - 55 : -1
}

// Names of character sets in mails that TextDecoder knows under another name.
const aliases: Record<string, string> = { cp932: 'shift_jis', cp936: 'gbk', cp949: 'euc-kr', cp950: 'big5' }

/** Decodes a character set. Default UTF-8; invalid UTF-8 and unknown character sets are read as windows-1252. */
export function decodeText(bytes: Uint8Array, charset = ''): string {
  const name = charset.trim().toLowerCase()
  try {
    if (!name || name === 'us-ascii') return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
    return new TextDecoder(aliases[name] ?? name).decode(bytes)
  } catch {
    return new TextDecoder('windows-1252').decode(bytes)
  }
}
