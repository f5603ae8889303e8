import type { Control } from './control.ts'

export default {
  fault: 'An address of another server is taken for an attachment of the tenant.',
  file: 'src/gateway/public-address.ts',
  find: 'host !== own.host ||',
  replace: "host === '' ||",
  test: 'src/gateway/public-address.test.ts',
  name: 'and no other one',
} satisfies Control
