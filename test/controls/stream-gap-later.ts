import type { Control } from './control.ts'

export default {
  fault: 'A reader that retention overtakes gets a stream with a gap.',
  file: 'src/gateway/streams/catch-up.ts',
  find: 'if (client.lacks(horizon, read)) {',
  replace: 'if (client.lacks(horizon, until)) {',
  test: 'test/streams.test.ts',
  name: 'retention has removed',
} satisfies Control
