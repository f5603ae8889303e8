import type { Control } from './control.ts'

export default {
  fault: 'A cookie is accepted from any page of the own host.',
  file: 'src/gateway/identity/identity.ts',
  find: "if (origin === undefined ? fetchSite === 'same-origin' : origins.includes(origin))",
  replace: "if (origin !== undefined || fetchSite === 'same-origin')",
  test: 'test/identity/identity.test.ts',
  name: 'a cookie counts only',
} satisfies Control
