import { hash, randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { expect } from 'vitest'
import type { Driver } from '../../bus/driver.ts'
import type { Cases, World } from './world.ts'

type WithBlobs = Driver & Required<Pick<Driver, 'blobs'>>

/** Opens a member. Skips the case for a driver without blobs. */
async function open(world: World): Promise<WithBlobs> {
  const driver = await world.open()
  return driver.blobs ? (driver as WithBlobs) : world.skip(`${driver.name} keeps no blobs`)
}

export const blobStore: Cases = {
  'a blob comes back as it was put, for every member and after a restart': async world => {
    const [driver, other] = [await open(world), await open(world)]
    const bytes = new Uint8Array(randomBytes(300))
    const ref = await driver.blobs.put('acme', bytes)
    expect(ref).toBe(`sha256-${hash('sha256', bytes, 'hex')}`)
    expect(new Uint8Array((await other.blobs.get('acme', ref))!)).toEqual(bytes)
    await world.close(driver)
    const again = await open(world)
    expect(new Uint8Array((await again.blobs.get('acme', ref))!)).toEqual(bytes)
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async any => {
        const back = await again.blobs.get('acme', await again.blobs.put('acme', any))
        expect(new Uint8Array(back!)).toEqual(any)
      }),
      { numRuns: 20 },
    )
  },

  'a blob that is put twice, or by two members at once, has one reference': async world => {
    const [driver, other] = [await open(world), await open(world)]
    const bytes = new TextEncoder().encode('the same')
    const refs = await Promise.all([driver, other, driver, other].map(member => member.blobs.put('acme', bytes)))
    expect(new Set(refs).size).toBe(1)
    expect(new Uint8Array((await driver.blobs.get('acme', refs[0]!))!)).toEqual(bytes)
  },

  'a blob belongs to its tenant': async world => {
    const driver = await open(world)
    const ref = await driver.blobs.put('acme', new TextEncoder().encode('secret'))
    for (const tenant of ['rival', 'ACME', 'acme/', './acme', ''])
      expect(await driver.blobs.get(tenant, ref)).toBeUndefined()
  },

  'a text that is not a reference of a blob finds nothing': async world => {
    const driver = await open(world)
    const ref = await driver.blobs.put('acme', new TextEncoder().encode('x'))
    const strays = [`sha256-${'0'.repeat(64)}`, ref.slice(0, -1), ref.toUpperCase(), '../acme', 'sha256-../../x', '']
    for (const stray of strays) expect(await driver.blobs.get('acme', stray)).toBeUndefined()
  },

  'a blob of 5 MB comes back whole': async world => {
    const driver = await open(world)
    const bytes = randomBytes(5_000_000)
    const back = await driver.blobs.get('acme', await driver.blobs.put('acme', bytes))
    expect(bytes.equals(back!)).toBe(true)
  },
}
