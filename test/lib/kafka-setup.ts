import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TestProject } from 'vitest/node'
import { textOf } from '../../src/errors.ts'
import { findKafka } from '../../src/testing/kafka/find.ts'
import { startKafka, type Kafka } from '../../src/testing/kafka/start.ts'
import { givenKafka } from './kafka-given.ts'
import './kafka.ts'

/**
 * Before all tests: says whether there is a Kafka. The broker that test files share starts when the first of them asks for it over HTTP,
 * because most runs need none and it costs seconds. It is downloaded by scripts/brokers.ts, and not here.
 */
export default async function setup(project: TestProject) {
  const [found, given] = await Promise.all([findKafka({ download: false }), givenKafka()])
  let shared: Promise<Kafka> | undefined
  const bootstrap = async () => {
    if (given && 'bootstrap' in given) return given.bootstrap
    shared ??= startKafka('path' in found ? { server: found } : {})
    return (await shared).bootstrap
  }
  const server = createServer((_request, response) => {
    bootstrap().then(
      text => response.end(text),
      (error: unknown) => response.writeHead(500).end(textOf(error)),
    )
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address() as AddressInfo
  const shares = given ?? found
  const noServer = 'reason' in shares ? missing(shares.reason) : undefined
  const noJars = 'reason' in found ? missing(found.reason) : undefined
  project.provide('kafka', { broker: `http://127.0.0.1:${port}`, noServer, noJars })
  return async () => {
    server.close()
    await (await shared?.catch(() => undefined))?.stop()
  }
}

const missing = (reason: string) => `Kafka is missing (node scripts/brokers.ts provides it): ${reason}`
