import type { Control } from './control.ts'

export default {
  fault: 'What is published while offline is lost with the page.',
  file: 'src/client/publish-queue.ts',
  find: 'this.#waiting.push(...this.#stored())',
  replace: 'void this.#stored',
  test: 'test/client/client.test.ts',
  name: 'keeps what it publishes while offline',
} satisfies Control
