import type { Control } from './control.ts'

export default {
  fault: 'A state of MCP that one user got is accepted from another one.',
  file: 'src/mcp/server/call-state.ts',
  find: 'JSON.stringify([tenant, user ?? null])',
  replace: "[tenant, user].join('').slice(0, 0)",
  test: 'test/mcp/server.test.ts',
  name: 'a tenant sees neither',
} satisfies Control
