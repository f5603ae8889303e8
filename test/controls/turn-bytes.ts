import type { Control } from './control.ts'

export default {
  fault:
    'a turn takes every input that waits, and becomes larger than the bus accepts: its answers are parked for good',
  patches: [
    { file: 'src/tasks/inbox.ts', find: 'if (bytes > maxInputBytes && count > 0) break', replace: '' },
    {
      file: 'src/bus/bus.ts',
      find: 'if (!isLarger(json, this.#maxBytes)) return { event: turn, json }',
      replace: 'if (json.length > 0) return { event: turn, json }',
    },
  ],
  test: 'test/large-turns.test.ts',
  name: 'on sqlite.*takes 900 waiting answers',
} satisfies Control
