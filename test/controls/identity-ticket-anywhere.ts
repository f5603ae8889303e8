import type { Control } from './control.ts'

export default {
  fault: 'A ticket opens more than streams.',
  file: 'src/gateway/identity/guard.ts',
  find: "env.incoming.method === 'GET' && isStreamPath(req.path) ?",
  replace: 'isStreamPath(req.path) || req ?',
  test: 'test/identity/identity.test.ts',
  name: 'only streams take a ticket',
} satisfies Control
