import { compatibilityPartitioner } from '@platformatic/kafka'
import { expect, test } from 'vitest'
import { murmur2 } from './murmur2.ts'

test('chooses the partitions of the Java client', () => {
  // From the tests of Kafka, UtilsTest.testMurmur2; a partition is made of 31 bits.
  const known: Record<string, number> = {
    '21': -973932308,
    foobar: -790332482,
    'a-little-bit-long-string': -985981536,
    'a-little-bit-longer-string': -1486304829,
    lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8: -58897971,
    abc: 479470107,
  }
  for (const [key, hash] of Object.entries(known)) expect(murmur2(Buffer.from(key))).toBe(hash & 0x7fff_ffff)
  for (let length = 0; length < 64; length++) {
    const key = Buffer.from(Array.from({ length }, (_, i) => (i * 97 + length * 31) % 256))
    expect(murmur2(key)).toBe(compatibilityPartitioner(undefined as never, key))
  }
})

test('takes a moment for a key of a megabyte', () => {
  expect(murmur2(Buffer.alloc(1_000_000, 'k'))).toBeGreaterThanOrEqual(0)
})
