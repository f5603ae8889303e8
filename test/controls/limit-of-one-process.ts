import type { Control } from './control.ts'

export default {
  fault: 'A process counts only its own requests to an agent with a limit.',
  file: 'src/ask/agent-admission.ts',
  find: 'for await (const { event } of this.#bus.read({ after, until: head, filter })) this.#see(event)',
  replace:
    'for await (const { event } of this.#bus.read({ after, until: head, filter })) if (event.hops < 0) this.#see(event)',
  test: 'test/agent-limit.test.ts',
  name: 'enough to do',
} satisfies Control
