import type { Control } from './control.ts'

export default {
  fault: 'A worker stores data that does not match a type of its app.',
  file: 'src/bus/bus.ts',
  find: 'for (const declared of this.#events.get(draft.type) ?? []) checkedData',
  replace: 'for (const declared of this.#events.get(`${draft.type}.`) ?? []) checkedData',
  test: 'test/event-types.test.ts',
  name: 'refuses data',
} satisfies Control
