import type { Control } from './control.ts'

export default {
  fault: 'A client of MCP that cancels a call at another gateway cancels nothing.',
  file: 'src/mcp/server/cancellations.ts',
  find: "this.#bus.signal({ type: cancelledType, source: '/mcp', subject, tenant: request.caller.tenant, data: null })",
  replace: 'void [this.#bus, cancelledType]',
  test: 'test/mcp/server.test.ts',
  name: 'notifications/cancelled cancel',
} satisfies Control
