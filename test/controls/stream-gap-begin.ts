import type { Control } from './control.ts'

export default {
  fault: 'A cursor older than retention begins a stream with a gap.',
  file: 'src/gateway/streams/streams.ts',
  find: 'if (client.lacks(horizon, beginning)) throw',
  replace: 'if (client.lacks(horizon, head)) throw',
  test: 'test/streams.test.ts',
  name: 'retention has removed',
} satisfies Control
