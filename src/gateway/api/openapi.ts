import { z } from 'zod'
import { manifest } from '../../manifest.ts'
import { routeDescriptions, type Answer, type RouteDescription, type Parameter } from './route-descriptions.ts'
import { errorShape, schemaOf } from './shapes.ts'

interface OpenApiOptions {
  /** Requests need a credential. */
  readonly isGuarded: boolean
  /** Agents and workflows on the log, as examples. */
  readonly names: readonly string[]
}

/** The HTTP API as an OpenAPI 3.1 document. Source: spec.openapis.org/oas/v3.1.1. */
export function openApi({ isGuarded, names }: OpenApiOptions): object {
  const paths: Record<string, Record<string, object>> = {}
  for (const operation of routeDescriptions) {
    const [method, path] = operation.route.split(' ') as [string, string]
    const place = (paths[path.replace(/:(\w+)/g, '{$1}')] ??= {})
    place[method.toLowerCase()] = operationObject(operation, path, { isGuarded, names })
  }
  return {
    openapi: '3.1.1',
    info: {
      title: 'Tidings gateway',
      version: manifest.version,
      description: 'Agents, workflows and events over HTTP. docs/http.md explains it with examples.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    // Relative to the address of this document, so that a prefix stays.
    servers: [{ url: '.' }],
    tags: [...new Set(routeDescriptions.map(({ tag }) => tag))].map(name => ({ name, description: tagTexts[name] })),
    paths,
    ...(isGuarded && { security: [{ bearer: [] }, { ticket: [] }] }),
    components: {
      schemas: { Error: schemaOf(errorShape) },
      ...(isGuarded && { securitySchemes }),
    },
  }
}

const tagTexts: Readonly<Record<RouteDescription['tag'], string>> = {
  agents: 'Ask agents and workflows, and follow their tasks',
  events: 'Publish and follow events',
  people: 'Requests for approval',
  threads: 'Conversations of a user',
  chat: 'The chat protocol of the AI SDK',
  mcp: 'The Model Context Protocol',
  views: 'Lists and details of what is on the log',
  operating: 'Commands of operators, health, metrics, tickets and API documents',
}

const securitySchemes = {
  bearer: { type: 'http', scheme: 'bearer', description: 'An API key or a JWT.' },
  ticket: { type: 'apiKey', in: 'query', name: 'ticket', description: 'A ticket of POST /tickets.' },
}

function operationObject(operation: RouteDescription, path: string, { isGuarded, names }: OpenApiOptions): object {
  const { id, tag, summary, description, query = {}, headers = {}, body, isBodyOptional, answers, isOpen } = operation
  const inPath = [...path.matchAll(/:(\w+)/g)].map(([, name]) => {
    const about = parameter('path', name!, { description: pathTexts[name!]! })
    const isAgent = name === 'name' || name === 'agent'
    return isAgent && names.length > 0
      ? { ...about, examples: Object.fromEntries(names.map(value => [value, { value }])) }
      : about
  })
  const parameters = [
    ...inPath,
    ...Object.entries(query).map(([name, each]) => parameter('query', name, each)),
    ...Object.entries(headers).map(([name, each]) => parameter('header', name, each)),
  ]
  return {
    operationId: id,
    tags: [tag],
    summary,
    ...(description && { description }),
    ...(parameters.length > 0 && { parameters }),
    ...(body && { requestBody: { required: !isBodyOptional, content: contentOf(body) } }),
    responses: {
      ...Object.fromEntries(Object.entries(answers).map(([status, answer]) => [status, responseObject(answer)])),
      '4XX': errorResponse('The request was refused.'),
      ...(!answers[503] && { 503: errorResponse('The log or the gateway is not available now. Retry.') }),
    },
    ...(isGuarded && isOpen && { security: [] }),
  }
}

const pathTexts: Readonly<Record<string, string>> = {
  name: 'Name of the agent or workflow.',
  agent: 'Name of the agent.',
  id: 'The id that an earlier answer gave.',
  reference: 'Reference of the blob: `sha256-` and 64 hex digits.',
  thread: 'Name of the thread.',
  chat: 'Id of the chat.',
}

const parameter = (place: string, name: string, { description, schema = z.string(), isRepeated }: Parameter) => ({
  name,
  in: place,
  description,
  required: place === 'path',
  schema: isRepeated ? { type: 'array', items: schemaOf(schema) } : schemaOf(schema),
})

const contentOf = (body: z.ZodType | readonly string[]) =>
  body instanceof z.ZodType
    ? { 'application/json': { schema: schemaOf(body) } }
    : Object.fromEntries(body.map(type => [type, { schema: { type: 'string', format: 'binary' } }]))

function responseObject({ description, body, isStreamable, headers = {} }: Answer): object {
  const content =
    typeof body === 'string'
      ? { [body]: { schema: textOf[body] ?? { type: 'string', format: 'binary' } } }
      : body && { 'application/json': { schema: schemaOf(body) }, ...(isStreamable && { 'text/event-stream': {} }) }
  const described = Object.entries(headers).map(([name, text]) => [
    name,
    { description: text, schema: { type: 'string' } },
  ])
  return {
    description,
    ...(content && { content }),
    ...(described.length > 0 && { headers: Object.fromEntries(described) }),
  }
}

/** Of an event stream, whose events the AsyncAPI document describes, nothing is said. */
const textOf: Readonly<Record<string, object>> = { 'text/event-stream': {}, 'text/plain': { type: 'string' } }

const errorResponse = (description: string) => ({
  description,
  content: { 'application/json': { schema: { $ref: '#/components/schemas/Error' } } },
})
