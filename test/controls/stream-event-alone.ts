import type { Control } from './control.ts'

export default {
  fault:
    'Each event is a write of its own for each client, so that a thousand clients that want everything take all the time.',
  file: 'src/gateway/streams/audience.ts',
  find: 'this.#waiting.splice(0, isLarge ? 1',
  replace: 'this.#waiting.splice(0, isLarge || end < 0 ? 1',
  test: 'src/gateway/streams/audience.test.ts',
  name: 'share one write for many events',
} satisfies Control
