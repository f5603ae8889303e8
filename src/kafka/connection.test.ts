import { expect, test } from 'vitest'
import { kafkaConnection } from './connection.ts'

test('an address names brokers, a login and TLS, and options of the code come first', () => {
  expect(kafkaConnection({ url: 'kafka://a,b:9093' })).toMatchObject({ address: 'kafka://a:9092,b:9093' })
  const { address, client } = kafkaConnection({ url: 'kafkas://ann:s%40t@a:1?sasl=scram-sha-512', tls: { ca: 'pem' } })
  expect(address).toBe('kafkas://a:1')
  expect(client()).toMatchObject({
    bootstrapBrokers: [{ host: 'a', port: 1 }],
    tls: { ca: 'pem' },
    sasl: { mechanism: 'SCRAM-SHA-512', username: 'ann' },
  })
  const own = kafkaConnection({ url: 'kafka://ann:x@a', username: 'bob', password: 'p@:/', sasl: 'plain' }).client()
  const { username, password } = own.sasl as { username: string; password: () => string }
  expect([own.sasl!.mechanism, username, password()]).toEqual(['PLAIN', 'bob', 'p@:/'])
  expect(own.tls).toBeUndefined()
  expect(kafkaConnection({ token: () => 'secret' }).client().sasl!.mechanism).toBe('OAUTHBEARER')
})

test('what an address cannot mean is an error that does not repeat the login', () => {
  for (const [url, problem] of [
    ['http://a', 'it must look like'],
    ['kafka://ann:secret@a', 'needs sasl='],
    ['kafka://ann:secret@a?sasl=md5', 'sasl=md5 is none of'],
    ['kafka://a/log', 'it has the path'],
    ['kafka://a?partitions=3', 'there is no option "partitions"'],
    ['kafkas://a?ca=/nowhere.pem', 'the file of ca cannot be read'],
  ] as const)
    expect(() => kafkaConnection({ url })).toThrow(problem)
  expect(() => kafkaConnection({ url: 'kafka://a', tls: {} })).toThrow('needs kafkas://')
})
