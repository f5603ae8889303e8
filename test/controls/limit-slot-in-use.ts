import type { Control } from './control.ts'

export default {
  fault: 'A member gives up a slot that it uses, so that another member exceeds the limit.',
  file: 'src/drivers/nats/shared-member.ts',
  find: `            releasable: () => slots!.owned.size - this.window.inFlight,
`,
  replace: '',
  test: 'test/nats/slots.test.ts',
  name: 'gives a slot to a new member',
} satisfies Control
