import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { grants } from './lib/guarded-kafka.ts'

/* deploy/kafka: the rights that security.test.ts tries are those of the manifests, and both start brokers that lose nothing. */

const read = (file: string) => readFile(join(import.meta.dirname, '../../deploy/kafka', file), 'utf8')
const strimziNames: Record<string, string> = { 'transactional-id': 'transactionalId' }

test('the users of the manifests have the rights of acls.sh', async () => {
  const users = (await read('strimzi.yaml')).split('---').filter(text => text.includes('kind: KafkaUser'))
  const found = users.flatMap(text => {
    const user = /name: (\w+)/.exec(text)![1]!
    return [...text.matchAll(/type: (\w+)(?:, name: tidings\., patternType: prefix)? }\n\s+operations: \[(.*)\]/g)].map(
      ([, resource, list]) => ({ user, resource: resource!, operations: list!.split(', ') }),
    )
  })
  const wanted = (await grants()).map(grant => ({ ...grant, resource: strimziNames[grant.resource] ?? grant.resource }))
  const byName = (a: { user: string; resource: string }, b: typeof a) =>
    `${a.user} ${a.resource}`.localeCompare(`${b.user} ${b.resource}`)
  expect(found.toSorted(byName)).toEqual(wanted.toSorted(byName))
  expect(found).toHaveLength(8)
})

test('brokers have three copies, and two of them before a commit is acknowledged', async () => {
  const compose = await read('compose.yaml')
  const strimzi = await read('strimzi.yaml')
  for (const [setting, value] of Object.entries({
    'default.replication.factor': 3,
    'min.insync.replicas': 2,
    'transaction.state.log.replication.factor': 3,
    'transaction.state.log.min.isr': 2,
    'add.partitions.to.txn.retry.backoff.ms': 1,
  })) {
    expect(strimzi).toContain(`${setting}: ${value}\n`)
    expect(compose).toContain(`KAFKA_${setting.replaceAll('.', '_').toUpperCase()}: ${value}\n`)
  }
})
