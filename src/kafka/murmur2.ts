const seed = 0x9747b28c
const multiplier = 0x5bd1e995

/**
 * The hash with which the Java client chooses the partition of a key, 0 or more. That of the Node client takes time that grows with the
 * square of the length: 9 s for 100 KB, in which the process does nothing else.
 */
export function murmur2(key: Buffer): number {
  const end = key.length & ~3
  let hash = seed ^ key.length
  for (let i = 0; i < end; i += 4) {
    let word = Math.imul(key.readInt32LE(i), multiplier)
    word = Math.imul(word ^ (word >>> 24), multiplier)
    hash = Math.imul(hash, multiplier) ^ word
  }
  const rest = key.length - end
  if (rest > 0) hash = Math.imul(hash ^ key.readUIntLE(end, rest), multiplier)
  hash = Math.imul(hash ^ (hash >>> 13), multiplier)
  return (hash ^ (hash >>> 15)) & 0x7fff_ffff
}
