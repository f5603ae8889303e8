import { hash, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { AwsClient, AwsV4Signer } from 'aws4fetch'

const credentials = { accessKeyId: 'test', secretAccessKey: 'test-secret' }

/** A bucket: at the server that `npm run s3-trial` names, or in one in memory that checks signatures and digests. */
export async function s3Server() {
  const bucket = `bucket-${randomUUID()}`
  const { TIDINGS_TEST_S3: real } = process.env
  if (real !== undefined) {
    const client = new AwsClient({ ...credentials, service: 's3', region: 'us-east-1', retries: 0 })
    const response = await client.fetch(`${real}/${bucket}`, { method: 'PUT' })
    if (!response.ok) throw new Error(await response.text())
    return { endpoint: real, bucket, credentials, close: async () => {} }
  }
  const objects = new Map<string, Buffer>()
  const handle = async (request: IncomingMessage, response: ServerResponse) => {
    const body = Buffer.from(await new Response(request as never).arrayBuffer())
    const fail = (status: number, code: string) => response.writeHead(status).end(`<Error><Code>${code}</Code></Error>`)
    const { host, authorization, 'x-amz-date': datetime, 'x-amz-content-sha256': digest } = request.headers
    const signer = new AwsV4Signer({
      ...credentials,
      method: request.method!,
      url: `http://${host}${request.url}`,
      headers: { 'x-amz-content-sha256': String(digest) },
      service: 's3',
      region: 'us-east-1',
      datetime: String(datetime),
    })
    if ((await signer.sign()).headers.get('authorization') !== authorization) return fail(403, 'SignatureDoesNotMatch')
    if (request.method === 'PUT') {
      if (hash('sha256', body, 'hex') !== digest) return fail(400, 'XAmzContentSHA256Mismatch')
      objects.set(request.url!, body)
      return response.end()
    }
    const found = objects.get(request.url!)
    return found ? response.end(found) : fail(404, 'NoSuchKey')
  }
  const server = createServer((request, response) => void handle(request, response))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const close = async () => {
    server.closeAllConnections()
    server.close()
  }
  return { endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, bucket, credentials, close }
}
