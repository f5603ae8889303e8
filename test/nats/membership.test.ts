import { randomUUID } from 'node:crypto'
import { expect, it, onTestFinished } from 'vitest'
import { openConnection } from '../../src/drivers/nats/connect.ts'
import { parseAddress } from '../../src/drivers/nats/address.ts'
import { Groups } from '../../src/drivers/nats/groups.ts'
import { Membership } from '../../src/drivers/nats/membership.ts'
import { provision } from '../../src/drivers/nats/provision.ts'
import { describeNats, natsUrl } from '../lib/nats.ts'

describeNats('the members of a group', () => {
  it('include those that renew their leases while they are read', { timeout: 30_000 }, async () => {
    const address = parseAddress(`${natsUrl()}/t${randomUUID()}`)
    const join = async (id: string) => {
      const connection = await openConnection(address, 10_000)
      onTestFinished(() => connection.close())
      const log = await provision(connection, { shards: 4, replicas: 1 })
      const member = new Membership({ connection, log, group: 'g', id, filter: [], leaseMs: 5_000, onChange() {} })
      return { member, groups: new Groups(connection, log, 5_000) }
    }
    // Who owns nothing yet gets its share only if the others see it.
    const [reader, owner, newcomer] = [await join('reader'), await join('owner'), await join('newcomer')]
    const others = [owner.member, newcomer.member]
    for (const member of others) await member.renew()
    await owner.member.claim(['owner'], 0)
    let isReading = true
    const renewing = Array.from({ length: 8 }, async (_, i) => {
      while (isReading) await others[i % 2]!.renew()
    })
    const seen = new Map<string, number>()
    const count = (what: string) => seen.set(what, (seen.get(what) ?? 0) + 1)
    for (let i = 0; i < 100; i++) {
      const { members } = await reader.member.read()
      count(members.join())
      count(`has members: ${await reader.groups.hasMembers('g')}`)
    }
    isReading = false
    await Promise.all(renewing)
    expect(Object.fromEntries(seen)).toEqual({ 'newcomer,owner': 100, 'has members: true': 100 })
  })
})
