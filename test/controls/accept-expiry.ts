import type { Control } from './control.ts'

export default {
  fault: 'What was accepted is accepted for ever.',
  file: 'src/replay/accept.ts',
  find: 'Date.parse(entry.until) + dayMs <= this.#now',
  replace: 'Date.parse(entry.until) <= 0',
  test: 'src/replay/accept.test.ts',
  name: 'last day',
} satisfies Control
