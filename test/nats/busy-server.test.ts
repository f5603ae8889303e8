import { randomUUID } from 'node:crypto'
import { expect, it, onTestFinished } from 'vitest'
import { parseAddress } from '../../src/drivers/nats/address.ts'
import { openConnection } from '../../src/drivers/nats/connect.ts'
import { provision } from '../../src/drivers/nats/provision.ts'
import { describeNats, natsUrl } from '../lib/nats.ts'

describeNats('a server that answers large requests too late', () => {
  it('is asked for less until it answers, and all is read', async () => {
    const connection = await openConnection(parseAddress(`${natsUrl()}/b${randomUUID()}?timeout=400`), 10_000)
    onTestFinished(() => connection.close())
    const { partitions, names } = await provision(connection, { shards: 1, replicas: 1 })
    const stream = partitions[0]!
    const subject = `${names.log}.e.0.nobody.counted`
    for (let n = 0; n < 40; n++) await stream.append(subject, String(n))
    const send = connection.send.bind(connection)
    const asked: number[] = []
    connection.send = (to, body, ...rest) => {
      const { batch = 0 } = to.startsWith('$JS.API.DIRECT.GET.') ? (JSON.parse(String(body)) as { batch?: number }) : {}
      if (batch > 0) asked.push(batch)
      // As if the answer were too late: it goes to nobody.
      send(batch > 16 ? `${to}.busy` : to, body, ...rest)
    }
    const texts: string[] = []
    for await (const message of stream.scan({ subject })) texts.push(message.text())
    expect(texts).toEqual(Array.from({ length: 40 }, (_, n) => String(n)))
    expect(asked.slice(0, 3)).toEqual([256, 64, 16])
  })
})
