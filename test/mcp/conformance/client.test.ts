import { afterAll, beforeAll, it } from 'vitest'
import { join } from 'node:path'
import { scratch } from '../client/lib/pinned.ts'
import { clientHost } from './client-host.ts'
import { assertAsExpected, runClientSuite } from './run-client.ts'
import { revisions } from './suite.ts'

/* The client side of the official conformance suite, in both protocols. */

let host: Awaited<ReturnType<typeof clientHost>>
beforeAll(async () => void (host = await clientHost()))
afterAll(() => host.close())

it.each(revisions)(
  'the client meets the requirements of %s, but for what is expected',
  { timeout: 240_000 },
  async revision => {
    const command = `${process.execPath} ${join(import.meta.dirname, 'relay.mjs')} ${host.port}`
    assertAsExpected(revision, await runClientSuite(revision, command, scratch()))
  },
)
