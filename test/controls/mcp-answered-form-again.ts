import type { Control } from './control.ts'

export default {
  fault: 'A form that was answered is shown again when the client of MCP comes back with the answer.',
  file: 'src/mcp/server/follow-task.ts',
  find: 'return !answer && !claim && (await isOpen(bus, request))',
  replace:
    'return request !== undefined || answer === undefined || claim === undefined || (await isOpen(bus, request))',
  test: 'test/mcp/server.test.ts',
  name: 'is a form for those who may answer it',
} satisfies Control
