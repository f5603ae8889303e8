import type { Control } from './control.ts'

export default {
  fault: 'A client that takes nothing stays for ever, where nothing new comes.',
  file: 'src/gateway/stream-client.ts',
  find: 'this.#stall = setTimeout(',
  replace: 'this.#stall ??= setTimeout(() => {}, 1e9).unref() ?? setTimeout(',
  test: 'src/gateway/slow-readers.test.ts',
  name: 'takes nothing is cut off',
} satisfies Control
