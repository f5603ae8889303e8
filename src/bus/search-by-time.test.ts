import fc from 'fast-check'
import { expect, test } from 'vitest'
import { TimeSearch } from './search-by-time.ts'

test('finds the first event that is not older, whatever the gaps', () => {
  const logs = fc.array(fc.record({ gap: fc.integer({ min: 1, max: 5 }), later: fc.nat(3) }), { maxLength: 60 })
  fc.assert(
    fc.property(logs, fc.integer({ min: -2, max: 200 }), (steps, cutoff) => {
      let [offset, time] = [0, 0]
      const log = steps.map(({ gap, later }) => ({ offset: (offset += gap), time: (time += later) }))
      const head = offset
      const search = new TimeSearch({ first: 1, head, cutoff })
      let probes = 0
      for (let probe; (probe = search.probe) !== undefined; probes++) {
        const from = probe
        search.answer(log.find(each => each.offset >= from && each.offset < search.below))
      }
      const expected = log.find(each => each.time >= cutoff)
      // Any offset in the gap before the event reads from that event on.
      const read = log.find(each => each.offset >= search.offset)
      expect(read).toEqual(expected)
      expect(probes).toBeLessThanOrEqual(Math.ceil(Math.log2(head + 2)) + 1)
    }),
  )
})
