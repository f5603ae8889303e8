import type { Control } from './control.ts'

export default {
  fault: 'When a deploy reduces a limit, slots are acquired while more than the new limit are in use.',
  file: 'src/drivers/nats/ownership.ts',
  find: `      limitNew(this.#id, members, owners, { before: view.owners, count })
`,
  replace: '',
  test: 'test/nats/slots.test.ts',
  name: 'that a deploy reduces',
} satisfies Control
