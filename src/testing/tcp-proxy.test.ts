import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { beforeEach, expect, onTestFinished, test } from 'vitest'
import { startProxy, type TcpProxy } from './tcp-proxy.ts'
import { until } from './wait.ts'

let proxy: TcpProxy
let echo: number
/** The sockets of a server that sends back what it gets. */
let served: Socket[]

beforeEach(async () => {
  served = []
  const server = createServer(socket => {
    served.push(socket)
    socket.on('error', () => {}).pipe(socket)
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  echo = (server.address() as AddressInfo).port
  proxy = await startProxy({ port: echo })
  return async () => {
    await proxy.stop()
    server.close()
  }
})

async function open(port = proxy.port) {
  const socket = connect({ host: '127.0.0.1', port })
  const heard = { text: '', error: '', ended: false }
  socket.setEncoding('utf8').on('data', chunk => (heard.text += chunk))
  socket.on('end', () => (heard.ended = true))
  socket.on('error', (error: NodeJS.ErrnoException) => (heard.error = error.code ?? ''))
  onTestFinished(() => void socket.destroy())
  await once(socket, 'connect')
  return { socket, heard }
}

test('bytes pass in both directions, all of them, and so does the end', async () => {
  const { socket, heard } = await open()
  const sent = 'abcdefgh'.repeat(1_000_000)
  socket.end(sent)
  await until(() => heard.ended, { within: 10_000 })
  expect(heard.text === sent).toBe(true)
  await until(() => proxy.connections === 0)
})

test('a cut resets all connections and lets new ones in', async () => {
  const [a, b] = [await open(), await open()]
  await until(() => served.length === 2)
  proxy.cut()
  await until(() => a.heard.error && b.heard.error && served.every(socket => socket.destroyed))
  expect(a.heard.error).toBe('ECONNRESET')
  const { socket, heard } = await open()
  socket.write('again')
  await until(() => heard.text === 'again')
})

test('while it refuses, the old connections work and new ones are turned away', async () => {
  const { socket, heard } = await open()
  proxy.refuse()
  await expect(open()).rejects.toMatchObject({ code: 'ECONNREFUSED' })
  socket.write('old')
  await until(() => heard.text === 'old')
  await proxy.accept()
  await open()
})

test('while it is frozen nothing arrives and nothing closes; then all of it arrives, in order', async () => {
  const { socket, heard } = await open()
  socket.write('1')
  await until(() => heard.text === '1')
  proxy.freeze()
  socket.write('2')
  const late = await open()
  late.socket.write('x')
  served[0]!.write('3')
  served[0]!.end()
  // By the time that this has gone to and fro beside the proxy, the rest would have passed as well.
  const beside = await open(echo)
  beside.socket.write('4')
  await until(() => beside.heard.text === '4')
  expect([heard.text, heard.ended, late.heard.text]).toEqual(['1', false, ''])
  proxy.thaw()
  await until(() => late.heard.text === 'x' && heard.text.includes('3') && heard.ended)
})

test('where the server is not there, the client is cut off', async () => {
  await proxy.stop()
  const nowhere = await startProxy({ port: proxy.port })
  onTestFinished(() => nowhere.stop())
  const socket = connect({ host: '127.0.0.1', port: nowhere.port }).on('error', () => {})
  await new Promise(resolve => socket.on('close', resolve))
})
