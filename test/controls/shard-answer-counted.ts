import type { Control } from './control.ts'

export default {
  fault: 'The answer of a call counts as an event of the turn that made the call, so that another call is lost.',
  file: 'src/drivers/nats/unfinished-turns.ts',
  find: "id.slice(0, id.lastIndexOf(':'))",
  replace: "id.split(':').slice(0, 2).join(':')",
  test: 'test/nats/short-lived-owners.test.ts',
} satisfies Control
