import { randomUUID } from 'node:crypto'
import { expect, it, onTestFinished } from 'vitest'
import { openConnection } from '../../src/drivers/nats/connect.ts'
import { parseAddress } from '../../src/drivers/nats/address.ts'
import { Membership } from '../../src/drivers/nats/membership.ts'
import { provision } from '../../src/drivers/nats/provision.ts'
import { describeNats, natsUrl } from '../lib/nats.ts'

describeNats('the members of a group', () => {
  it('include an owner that renews its lease while they are read', { timeout: 30_000 }, async () => {
    const address = parseAddress(`${natsUrl()}/t${randomUUID()}`)
    const member = async (id: string) => {
      const connection = await openConnection(address, 10_000)
      onTestFinished(() => connection.close())
      const log = await provision(connection, { shards: 4, replicas: 1 })
      return new Membership({ connection, log, group: 'g', id, filter: [], leaseMs: 5_000, onChange() {} })
    }
    const [owner, reader] = [await member('owner'), await member('reader')]
    await owner.renew()
    await owner.claim(['owner'], 0)
    let isReading = true
    const renewing = Array.from({ length: 8 }, async () => {
      while (isReading) await owner.renew()
    })
    let missing = 0
    for (let i = 0; i < 300; i++) if (!(await reader.read()).members.includes('owner')) missing++
    isReading = false
    await Promise.all(renewing)
    expect(missing).toBe(0)
  })
})
