import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { onTestFinished } from 'vitest'
import type { SchemaDraft } from '../../src/kafka/registry/registry.ts'

/**
 * The base URL of a schema registry. `npm run registry-trial` names a real one in `TIDINGS_TEST_REGISTRY`; else this is one in memory with the
 * four requests that are used.
 */
export async function schemaRegistry(): Promise<{ url: string; requests: string[]; isReal: boolean }> {
  const real = process.env.TIDINGS_TEST_REGISTRY
  if (real !== undefined) return { url: real, requests: [], isReal: true }
  const schemas: Stored[] = []
  const versions = new Map<string, number[]>()
  const requests: string[] = []
  const handle = async (request: IncomingMessage, response: ServerResponse) => {
    requests.push(`${request.method} ${request.url}`)
    const answer = (status: number, body: unknown) => response.writeHead(status).end(JSON.stringify(body))
    const [, subjects, subject, , version] = request.url!.split('/').map(decodeURIComponent)
    if (subjects === 'schemas') {
      const found = schemas[Number(request.url!.split('/')[3]) - 1]
      return found ? answer(200, found) : answer(404, { error_code: 40403, message: 'Schema not found' })
    }
    const known = versions.get(subject!) ?? []
    if (request.method === 'POST') {
      const posted = (await new Response(request as never).json()) as Stored
      const same = schemas.findIndex(each => JSON.stringify(each) === JSON.stringify(posted))
      const id = same >= 0 ? same + 1 : schemas.push(posted)
      if (!known.includes(id)) versions.set(subject!, [...known, id])
      return answer(200, { id })
    }
    const id = version === 'latest' ? known.at(-1) : known[Number(version) - 1]
    if (id === undefined) return answer(404, { error_code: 40401, message: 'Subject not found' })
    return answer(200, { subject, id, version: known.indexOf(id) + 1, ...schemas[id - 1] })
  }
  const server = createServer((request, response) => void handle(request, response))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, requests, isReal: false }
}

interface Stored extends Pick<SchemaDraft, 'schema' | 'references'> {
  readonly schemaType: SchemaDraft['type']
}
