import type { Control } from './control.ts'

export default {
  fault: 'A repeated request to an agent does not say that it started nothing.',
  file: 'src/gateway/commands/tasks.ts',
  find: "if (isRepeated) c.header('idempotency-replayed', 'true')\n    if (!waits)",
  replace: 'if (!waits)',
  test: 'test/commands.test.ts',
  name: 'takes a request once for each key',
} satisfies Control
