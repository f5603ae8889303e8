import type { Control } from './control.ts'

export default {
  fault: 'A request to an MCP server whose Request was garbage-collected does not end when its call is aborted.',
  file: 'src/mcp/client/bounded-fetch.ts',
  find: 'signal: init?.signal ?? undefined }',
  replace: 'signal: request.signal }',
  test: 'src/mcp/client/bounded-fetch.test.ts',
  name: 'an abort ends the stream',
} satisfies Control
