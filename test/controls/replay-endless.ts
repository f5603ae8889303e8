import type { Control } from './control.ts'

export default {
  fault: 'An endless loop hangs the replay.',
  file: 'src/replay/process.ts',
  find: 'this.#timer = setTimeout(() => this.#fail(',
  replace: 'this.#timer = setTimeout(() => void (',
  test: 'test/replay/processes.test.ts',
  name: 'on sqlite .*does not end',
} satisfies Control
