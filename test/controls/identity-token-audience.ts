import type { Control } from './control.ts'

export default {
  fault: 'A token for another service is accepted.',
  file: 'src/gateway/identity/jwt.ts',
  find: 'const { issuer, audience, clockSkewSeconds: clockTolerance } = this.#policy',
  replace: `const { issuer, clockSkewSeconds: clockTolerance } = this.#policy
      const audience: any = undefined`,
  test: 'test/identity/identity.test.ts',
  name: 'tokens are checked',
} satisfies Control
