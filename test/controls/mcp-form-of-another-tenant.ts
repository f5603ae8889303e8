import type { Control } from './control.ts'

export default {
  fault: 'Over MCP, the form of another tenant can be answered by a client that knows its key.',
  file: 'src/mcp/server/elicitation.ts',
  find: 'if (request.tenant !== caller.tenant) throw notAnApproval(id)',
  replace: '',
  test: 'test/mcp/server.test.ts',
  name: 'a tenant sees neither',
} satisfies Control
