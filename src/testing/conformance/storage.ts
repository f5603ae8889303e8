import { hash, randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { expect } from 'vitest'
import type { Delivery, Driver } from '../../bus/driver.ts'
import { until } from '../wait.ts'
import { entries, entry } from './entries.ts'
import type { Cases } from './world.ts'

/** Reads, changes and writes back until no one was faster. */
async function update(driver: Driver, key: string, change: (value: number) => number): Promise<void> {
  for (;;) {
    const seen = await driver.getDocument(key)
    const next = change(Number(seen?.value ?? 0))
    if (await driver.putDocument(key, String(next), seen?.revision ?? 0)) return
  }
}

export const storage: Cases = {
  'a document is written only over the revision that was seen': async world => {
    const [driver, other] = [await world.open(), await world.open()]
    expect(await driver.getDocument('pause:writer')).toBeUndefined()
    expect(await driver.putDocument('pause:writer', 'early', 7)).toBe(0)
    const made = await driver.putDocument('pause:writer', 'ß 漢字', 0)
    expect(made).toBeGreaterThan(0)
    const first = await other.getDocument('pause:writer')
    expect(first?.value).toBe('ß 漢字')
    expect(first?.revision).toBe(made)
    expect(await other.putDocument('pause:writer', 'again', 0)).toBe(0)
    const second = await other.putDocument('pause:writer', 'second', first!.revision)
    expect((await driver.getDocument('pause:writer'))?.revision).toBe(second)
    expect(await driver.putDocument('pause:writer', 'stale', first!.revision)).toBe(0)
    expect((await driver.getDocument('pause:writer'))?.value).toBe('second')
    expect(await driver.getDocument('pause:reader')).toBeUndefined()
  },

  'a document survives a restart': async world => {
    const driver = await world.open()
    await driver.putDocument('budget/a b%', '{"calls":3}', 0)
    const seen = await driver.getDocument('budget/a b%')
    const again = await world.reopen(driver)
    expect(await again.getDocument('budget/a b%')).toEqual(seen)
    expect(await again.putDocument('budget/a b%', '{}', seen!.revision)).toBeGreaterThan(0)
  },

  'documents are told apart by their keys, whatever these hold': async world => {
    const driver = await world.open()
    const keys = ['a', 'a/b', 'a//b', 'a/', '/a', 'a.b', 'a/*', 'a/>', '*', '>', '-', 'a/-', '%2D', 'ß', 'A/b']
    for (const key of keys) expect(await driver.putDocument(key, `of ${key}`, 0)).toBeGreaterThan(0)
    for (const key of keys) expect((await driver.getDocument(key))?.value).toBe(`of ${key}`)
  },

  'of updates of a document that race none is lost': async world => {
    const members = [await world.open(), await world.open()]
    await Promise.all(Array.from({ length: 60 }, (_, n) => update(members[n % 2]!, 'budget', value => value + 1)))
    expect((await members[0]!.getDocument('budget'))?.value).toBe('60')
  },

  'a claim succeeds once for a request, also after its member died, and its event is on the log': async world => {
    const [first, second] = [await world.open(), await world.open()]
    const claimOf = ({ event }: Delivery) =>
      entry({ id: `claim/${event.id}`, type: 'tool.claimed', correlationid: event.correlationid })
    const before = await world.join(first, { inFlight: 10 })
    await first.publish(entries(10))
    await until(() => before.deliveries.length === 10)
    for (const delivery of before.deliveries) {
      const claim = claimOf(delivery)
      const claimed = await Promise.all([1, 2].map(() => first.claim(delivery, claim)))
      expect(claimed.filter(Boolean)).toHaveLength(1)
      expect((await second.get(claim.event.id, claim.event.correlationid))?.event).toEqual(claim.event)
    }
    await world.close(first)
    const after = await world.join(second, { inFlight: 10 })
    await until(() => after.deliveries.length === 10, { within: 15_000 })
    for (const delivery of after.deliveries) expect(await second.claim(delivery, claimOf(delivery))).toBe(false)
  },

  'a blob comes back as it was put, for every member and after a restart': async world => {
    const [driver, other] = [await world.open(), await world.open()]
    const bytes = new Uint8Array(randomBytes(300))
    const ref = await driver.blobs!.put('acme', bytes)
    expect(ref).toBe(`sha256-${hash('sha256', bytes, 'hex')}`)
    expect(new Uint8Array((await other.blobs!.get('acme', ref))!)).toEqual(bytes)
    const again = await world.reopen(driver)
    expect(new Uint8Array((await again.blobs!.get('acme', ref))!)).toEqual(bytes)
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async any => {
        const back = await again.blobs!.get('acme', await again.blobs!.put('acme', any))
        expect(new Uint8Array(back!)).toEqual(any)
      }),
      { numRuns: 20 },
    )
  },

  'a blob that is put twice, or by two members at once, has one reference': async world => {
    const [driver, other] = [await world.open(), await world.open()]
    const bytes = new TextEncoder().encode('the same')
    const refs = await Promise.all([driver, other, driver, other].map(member => member.blobs!.put('acme', bytes)))
    expect(new Set(refs).size).toBe(1)
    expect(new Uint8Array((await driver.blobs!.get('acme', refs[0]!))!)).toEqual(bytes)
  },

  'a blob belongs to its tenant': async world => {
    const driver = await world.open()
    const ref = await driver.blobs!.put('acme', new TextEncoder().encode('secret'))
    for (const tenant of ['rival', 'ACME', 'acme/', './acme', ''])
      expect(await driver.blobs!.get(tenant, ref)).toBeUndefined()
  },

  'what is no reference of a blob finds nothing': async world => {
    const driver = await world.open()
    const ref = await driver.blobs!.put('acme', new TextEncoder().encode('x'))
    const strays = [`sha256-${'0'.repeat(64)}`, ref.slice(0, -1), ref.toUpperCase(), '../acme', 'sha256-../../x', '']
    for (const stray of strays) expect(await driver.blobs!.get('acme', stray)).toBeUndefined()
  },

  'a blob of 5 MB comes back whole': async world => {
    const driver = await world.open()
    const bytes = randomBytes(5_000_000)
    const back = await driver.blobs!.get('acme', await driver.blobs!.put('acme', bytes))
    expect(bytes.equals(back!)).toBe(true)
  },

  'a signal reaches oneself and other members once each, and is not kept': async world => {
    const members = [await world.open(), await world.open()]
    const heard: string[][] = [[], []]
    for (const [n, member] of members.entries()) member.onSignal(event => heard[n]!.push(event.id))
    const warmUp: string[] = []
    await until(() => {
      const { event } = entry({ type: 'model.delta' })
      warmUp.push(event.id)
      members[0]!.sendSignal(event)
      return heard.every(ids => ids.length > 0)
    })
    const sent = [0, 1, 0].map(from => ({ from, event: entry({ type: 'model.delta', data: { text: '🙂' } }).event }))
    for (const { from, event } of sent) {
      members[from]!.sendSignal(event)
      await until(() => heard.every(ids => ids.includes(event.id)))
    }
    for (const ids of heard) {
      expect(ids).toEqual([...new Set(ids)])
      expect(ids.filter(id => !warmUp.includes(id))).toEqual(sent.map(s => s.event.id))
    }
    expect(await members[0]!.head()).toBe(0)
    expect(await members[1]!.get(sent[0]!.event.id, sent[0]!.event.correlationid)).toBeUndefined()
  },

  'a signal arrives unchanged, is heard by every listener, and no more by one that was taken off': async world => {
    const driver = await world.open()
    const heard: unknown[] = []
    let quiet = 0
    const off = driver.onSignal(() => quiet++)
    driver.onSignal(event => heard.push(event))
    driver.onSignal(event => heard.push(event))
    off()
    const { event } = entry({ type: 'tool.progress', data: { done: 0.5, text: '漢字' } })
    driver.sendSignal(event)
    await until(() => heard.length === 2)
    expect(heard).toEqual([event, event])
    expect(quiet).toBe(0)
  },
}
