import type { Control } from './control.ts'

export default {
  fault: 'A throw in init of one task ends the whole replay.',
  file: 'src/replay/shadow.ts',
  find: 'if (divergences.length === 0) divergences.push(this.#thrown(context, error))',
  replace: 'throw error',
  test: 'test/replay/shadow.test.ts',
  name: 'init throws',
} satisfies Control
