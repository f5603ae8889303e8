import fc from 'fast-check'
import { z } from 'zod'
import { expect, test } from 'vitest'
import { event } from '../../event.ts'
import { topicRoutes } from './topics.ts'

const [hall, room, any] = ['hall', 'room', 'any'].map(name => event(`reading.${name}`, z.unknown())) as [
  ReturnType<typeof event>,
  ReturnType<typeof event>,
  ReturnType<typeof event>,
]

test('the most specific filter decides the type of a message, in any order', () => {
  const topics = { 'rooms/#': any, 'rooms/+/celsius': room, 'rooms/hall/celsius': hall }
  for (const entries of [Object.entries(topics), Object.entries(topics).toReversed()]) {
    const { route, filters, types } = topicRoutes(Object.fromEntries(entries))
    expect(filters).toEqual(['rooms/#'])
    expect(types.toSorted()).toEqual(['reading.any', 'reading.hall', 'reading.room'])
    expect(route('rooms/hall/celsius')).toBe(hall)
    expect(route('rooms/attic/celsius')).toBe(room)
    expect(route('rooms/attic/lux')).toBe(any)
    expect(route('rooms')).toBe(any)
    expect(route('roof')).toBeUndefined()
  }
})

test('texts that are not filters, and filters that overlap, are refused', () => {
  for (const filter of ['', 'a/#/b', 'a#', 'a/b+', '#/a', 'a\0', '$share/g/a', '\ud800', 'x'.repeat(65_536)])
    expect(() => topicRoutes([filter]), filter.slice(0, 20)).toThrowError(
      expect.objectContaining({ code: 'E_APP_INVALID' }),
    )
  expect(() => topicRoutes([])).toThrow('topics is empty')
  expect(() => topicRoutes(['a/+', '+/b'])).toThrow('"a/+" and "+/b" overlap')
  expect(() => topicRoutes(['+/a/#', 'x/+'])).toThrow('overlap')
  expect(topicRoutes(['a/+', '+/b', '+/+']).filters).toEqual(['+/+'])
  expect(topicRoutes(['#', '$SYS/#']).filters).toEqual(['#', '$SYS/#'])
  expect(topicRoutes(['a/b', 'a/c', 'd/+']).filters).toEqual(['a/b', 'a/c', 'd/+'])
})

/** Section 4.7 of the standard, as it reads. */
function fits(filter: string, topic: string): boolean {
  if (topic.startsWith('$') && /^[+#]/.test(filter)) return false
  const pattern = filter
    .split('/')
    .map(level => (level === '+' ? '[^/]*' : level))
    .join('/')
  if (pattern === '#') return true
  return new RegExp(`^${pattern.replaceAll('$', '\\$').replace(/\/#$/, '(/.*)?')}$`).test(topic)
}

const level = fc.constantFrom('a', 'b', '', '$s')
const topic = fc.array(level, { minLength: 1, maxLength: 4 }).map(levels => levels.join('/'))
const filter = fc
  .tuple(fc.array(fc.oneof(level, fc.constant('+')), { minLength: 1, maxLength: 3 }), fc.boolean())
  .map(([levels, all]) => [...levels, ...(all ? ['#'] : [])].join('/'))
  .filter(each => each !== '')

test('exactly the requested topics are subscribed to, and none of them twice', () => {
  const sets = fc.uniqueArray(filter, { minLength: 1, maxLength: 4 })
  let routed = 0
  fc.assert(
    fc.property(sets, fc.array(topic, { minLength: 1, maxLength: 20 }), (filters, topics) => {
      let routes
      try {
        routes = topicRoutes(filters)
      } catch {
        return
      }
      routed++
      for (const each of topics.filter(Boolean)) {
        const wanted = filters.some(one => fits(one, each))
        expect(routes.route(each) !== undefined).toBe(wanted)
        expect(routes.filters.filter(one => fits(one, each))).toHaveLength(wanted ? 1 : 0)
      }
    }),
    { numRuns: 300 },
  )
  expect(routed).toBeGreaterThan(50)
})
