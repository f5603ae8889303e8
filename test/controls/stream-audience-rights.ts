import type { Control } from './control.ts'

export default {
  fault: 'Clients that are shown the same get the same, whatever their credentials may read.',
  file: 'src/gateway/streams/audience.ts',
  find: 'this.#types.filter(type => !client.scope.mayRead(type))',
  replace: 'this.#types.slice(this.#types.length)',
  test: 'src/gateway/streams/audience.test.ts',
  name: 'only what its credential may read',
} satisfies Control
