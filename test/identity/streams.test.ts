import { once } from 'node:events'
import { expect, onTestFinished, test } from 'vitest'
import { WebSocket } from 'ws'
import { Bus } from '../../src/bus/bus.ts'
import { startGateway } from '../../src/gateway/gateway.ts'
import { createKey, revokeKey } from '../../src/gateway/identity/api-keys.ts'
import { MemoryDriver } from '../../src/testing/memory/driver.ts'
import { MemoryLog } from '../../src/testing/memory/log.ts'
import { until } from '../../src/testing/wait.ts'
import { bearer, policyFile } from '../lib/identity.ts'

/* Streams of a gateway that knows who reads. */

async function guarded() {
  const bus = new Bus(new MemoryDriver(new MemoryLog()))
  const policy = await policyFile({ roles: { reader: { read: ['order.*'] }, writer: { publish: ['>'] } } })
  const { url, stop } = await startGateway({ bus, port: 0, policy, heartbeatIntervalMs: 50 })
  onTestFinished(() => stop())
  const keyOf = (role: string) => createKey(bus, { name: 'ann', tenant: 'acme', roles: [role] })
  const ticket = async (secret: string) => {
    const response = await fetch(`${url}/tickets`, { method: 'POST', headers: bearer(secret) })
    return ((await response.json()) as { ticket: string }).ticket
  }
  return { bus, url, keyOf, ticket }
}

/** What a stream has sent so far, and whether it has ended. */
async function read(address: string, headers: Record<string, string> = {}) {
  const response = await fetch(address, { headers })
  const heard = { status: response.status, text: '', isOver: false }
  const reading = async () => {
    for await (const part of response.body!.pipeThrough(new TextDecoderStream())) heard.text += part
    heard.isOver = true
  }
  void reading().catch(() => (heard.isOver = true))
  return heard
}

function listen(address: string) {
  const heard = { text: '', code: 0 }
  const socket = new WebSocket(address.replace('http', 'ws'))
  socket.on('message', (data: Buffer) => (heard.text += data.toString())).on('close', code => (heard.code = code))
  socket.on('error', () => {})
  onTestFinished(() => socket.terminate())
  return { heard, socket }
}

test('a stream shows the tenant and the types that its credential may read, and ends once that was revoked', async () => {
  const { bus, url, keyOf, ticket } = await guarded()
  const { id, secret } = await keyOf('reader')
  const byHeader = await read(`${url}/events/stream`, bearer(secret))
  const byTicket = await read(`${url}/events/stream?ticket=${await ticket(secret)}`)
  const { heard: bySocket, socket } = listen(`${url}/events/socket?ticket=${await ticket(secret)}`)
  await once(socket, 'message')
  for (const tenant of ['rival', 'acme'])
    for (const type of ['secret.kept', 'order.paid']) await bus.publish({ tenant, type, data: { of: tenant } })
  const all = [byHeader, byTicket, bySocket]
  await until(() => all.every(({ text }) => text.includes('order.paid')))
  for (const { text } of all) {
    expect(text.match(/"of":"\w+"/g)).toEqual(['"of":"acme"'])
    expect(text).not.toContain('secret')
  }
  await revokeKey(bus, id)
  await until(() => byHeader.isOver && byTicket.isOver && bySocket.code !== 0)
  expect(bySocket.text).toContain('E_CREDENTIAL_UNKNOWN')
})

test('a stream needs a credential with the right to read, and a ticket opens one', async () => {
  const { url, keyOf, ticket } = await guarded()
  const [reader, writer] = [await keyOf('reader'), await keyOf('writer')]
  expect((await fetch(`${url}/events/stream`)).status).toBe(401)
  expect((await fetch(`${url}/events/stream`, { headers: bearer(writer.secret) })).status).toBe(403)
  const once = await ticket(reader.secret)
  expect((await read(`${url}/events/stream?ticket=${once}`)).status).toBe(200)
  expect((await fetch(`${url}/events/stream?ticket=${once}`)).status).toBe(401)
  for (const query of ['', `?ticket=${once}`, '?ticket=x']) {
    const { socket } = listen(`${url}/events/socket${query}`)
    const [error] = (await new Promise(resolve => socket.once('error', (...given) => resolve(given)))) as [Error]
    expect([query, error.message]).toEqual([query, expect.stringContaining('401')])
  }
})
