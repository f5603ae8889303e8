import type { Control } from './control.ts'

export default {
  fault: 'What an MCP server writes is passed on before the call is on the log.',
  file: 'src/taps/mcp/stdio.ts',
  find: 'await ready()',
  replace: 'void ready()',
  test: 'src/taps/mcp/stdio.test.ts',
  name: 'before the request is durable',
} satisfies Control
