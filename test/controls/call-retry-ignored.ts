import type { Control } from './control.ts'

export default {
  fault: 'The retry policy of a call is ignored.',
  file: 'src/tools/station.ts',
  find: 'const own = tool.options.atMostOnce ? undefined : retryInRequest(data)',
  replace: 'const own = tool.options.atMostOnce !== undefined ? retryInRequest(data) : undefined',
  test: 'test/call-retry.test.ts',
  name: 'with one it has that',
} satisfies Control
