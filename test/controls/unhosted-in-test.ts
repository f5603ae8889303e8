import type { Control } from './control.ts'

export default {
  fault: 'A test waits for the timeout of a call that nothing can answer.',
  file: 'src/testing/test-app.ts',
  find: 'if (this.#unhosted.error) throw this.#unhosted.error',
  replace: '',
  test: 'src/testing/test-app.test.ts',
  name: 'nothing hosts what the app calls',
} satisfies Control
