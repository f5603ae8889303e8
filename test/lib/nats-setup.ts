import type { TestProject } from 'vitest/node'
import { findNatsServer } from '../../src/testing/nats/find.ts'
import { startNats } from '../../src/testing/nats/start.ts'
import { givenNats } from './nats-given.ts'
import './nats.ts'

/** Before all tests: one NATS server that they share. It is built by scripts/brokers.ts, which says so, and not here. */
export default async function setup(project: TestProject) {
  const found = await findNatsServer({ build: false })
  const own = 'path' in found ? await startNats({ path: found.path }) : found
  const shared = (await givenNats()) ?? own
  const noServer = 'reason' in shared ? missing(shared.reason) : undefined
  const noBinary = 'reason' in found ? missing(found.reason) : undefined
  project.provide('nats', { url: 'url' in shared ? shared.url : undefined, noServer, noBinary })
  return async () => {
    if ('stop' in own) await own.stop()
  }
}

const missing = (reason: string) => `NATS is missing (node scripts/brokers.ts provides it): ${reason}`
