import type { Control } from './control.ts'

export default {
  fault: 'Behind a proxy, the addresses of files in a chat lead past the path that the proxy adds.',
  file: 'src/gateway/public-address.ts',
  find: '? prefix + path : path',
  replace: '? path : path',
  test: 'test/web.test.ts',
  name: 'in Hono',
} satisfies Control
