import { expect } from 'vitest'
import type { Driver } from '../../bus/driver.ts'
import { until } from '../wait.ts'
import type { Cases } from './world.ts'

/** Reads, changes and writes the document, until no other writer was faster. */
async function update(driver: Driver, key: string, change: (value: number) => number): Promise<void> {
  for (;;) {
    const seen = await driver.getDocument(key)
    const next = change(Number(seen?.value ?? 0))
    if (await driver.putDocument(key, String(next), seen?.revision ?? 0)) return
  }
}

export const documentStore: Cases = {
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

  'keys that differ name different documents, whatever characters they have': async world => {
    const driver = await world.open()
    const keys = ['a', 'a/b', 'a//b', 'a/', '/a', 'a.b', 'a/*', 'a/>', '*', '>', '-', 'a/-', '%2D', 'ß', 'A/b']
    for (const key of keys) expect(await driver.putDocument(key, `of ${key}`, 0)).toBeGreaterThan(0)
    for (const key of keys) expect((await driver.getDocument(key))?.value).toBe(`of ${key}`)
  },

  'a document with a time to live is gone after it, and can be created again': async world => {
    const [driver, other] = [await world.open(), await world.open()]
    expect(await driver.putDocument('ticket', 'first', 0, 60_000)).toBeGreaterThan(0)
    expect(await driver.putDocument('ticket/short', 'first', 0, 1_000)).toBeGreaterThan(0)
    expect((await other.getDocument('ticket/short'))?.value).toBe('first')
    expect(await other.putDocument('ticket/short', 'second', 0)).toBe(0)
    await until(async () => !(await other.getDocument('ticket/short')))
    expect((await other.getDocument('ticket'))?.value).toBe('first')
    expect(await other.putDocument('ticket/short', 'second', 0)).toBeGreaterThan(0)
    expect((await driver.getDocument('ticket/short'))?.value).toBe('second')
  },

  'of updates of a document that race none is lost': async world => {
    const members = [await world.open(), await world.open()]
    await Promise.all(Array.from({ length: 60 }, (_, n) => update(members[n % 2]!, 'budget', value => value + 1)))
    expect((await members[0]!.getDocument('budget'))?.value).toBe('60')
  },
}
