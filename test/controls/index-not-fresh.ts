import type { Control } from './control.ts'

export default {
  fault: 'A question to the index gets what was on the log when another one came.',
  file: 'src/trace/index/live.ts',
  find: '        this.#next = undefined\n        return this.#read()',
  replace: '        return this.#read().finally(() => (this.#next = undefined))',
  test: 'test/live-index.test.ts',
  name: 'published before it',
} satisfies Control
