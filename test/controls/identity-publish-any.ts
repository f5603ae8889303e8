import type { Control } from './control.ts'

export default {
  fault: 'A role publishes types that the policy does not permit.',
  file: 'src/gateway/commands/publish.ts',
  find: "for (const { type } of drafts) assertMay(principal, 'publish', type)",
  replace: '',
  test: 'test/identity/identity.test.ts',
  name: 'a role permits only its types',
} satisfies Control
