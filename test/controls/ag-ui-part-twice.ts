import type { Control } from './control.ts'

export default {
  fault: 'A client that lost its connection gets its reasoning twice.',
  file: 'src/ag-ui/resumable.ts',
  find: 'const begun = [...this.#reasoning].filter(id => !known.has(id))',
  replace: 'const begun = [...this.#reasoning].filter(id => known.has(id))',
  test: 'test/ag-ui.test.ts',
  name: 'goes on after a kill of the gateway',
} satisfies Control
