import type { Control } from './control.ts'

export default {
  fault: 'A ticket is accepted twice.',
  file: 'src/gateway/identity/tickets.ts',
  find: 'return isFirst ? credential : undefined',
  replace: 'return isFirst || credential ? credential : undefined',
  test: 'test/identity/identity.test.ts',
  name: 'a ticket stands for its credential once',
} satisfies Control
