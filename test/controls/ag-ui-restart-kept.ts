import type { Control } from './control.ts'

export default {
  fault: 'A client of AG-UI keeps what a failed attempt of the model wrote.',
  file: 'src/gateway/ag-ui/run-events.ts',
  find: 'if (!this.#isVoided) return []',
  replace: 'if (this.#task !== undefined) return []',
  test: 'test/ag-ui.test.ts',
  name: 'takes back what a failed attempt wrote',
} satisfies Control
