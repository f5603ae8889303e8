import type { Control } from './control.ts'

export default {
  fault: 'An event that comes before the code waits for it is lost.',
  file: 'src/tasks/waits.ts',
  find: 'this.#kept.push(event)',
  replace: "if (event.type === 'order.paid') this.#kept.push(event)",
  test: 'test/steps/waits.test.ts',
  name: 'survives its worker',
} satisfies Control
