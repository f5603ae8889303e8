// What docs/guides/embedding.md uses of frameworks that are not installed.
declare module 'express' {
  import type { IncomingMessage, Server, ServerResponse } from 'node:http'

  type Handler<Request> = (request: Request, response: ServerResponse) => unknown
  interface Express {
    post(
      path: string,
      body: Handler<IncomingMessage>,
      handler: Handler<IncomingMessage & { readonly body: string }>,
    ): void
    use(path: string, handler: Handler<IncomingMessage>): void
    listen(port: number): Server
  }
  function express(): Express
  namespace express {
    function text(): Handler<IncomingMessage>
  }
  export default express
}

declare module 'fastify' {
  interface Fastify {
    post<Route extends { Body: unknown }>(
      path: string,
      handler: (request: { readonly body: Route['Body'] }) => Promise<unknown>,
    ): void
    listen(options: { port: number }): Promise<string>
  }
  export default function fastify(): Fastify
}
