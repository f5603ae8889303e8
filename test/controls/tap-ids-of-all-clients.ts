import type { Control } from './control.ts'

export default {
  fault: 'The answer to one client of an MCP server is taken for that to another one.',
  file: 'src/taps/mcp/http-exchange.ts',
  find: 'session ?? `exchange ${name}`',
  replace: "session ?? ''",
  test: 'test/taps/mcp-http.test.ts',
  name: 'do not meet',
} satisfies Control
