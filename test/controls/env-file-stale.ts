import type { Control } from './control.ts'

export default {
  fault: 'After a change of .env, dev runs the app with its earlier values.',
  file: 'src/cli/dev.ts',
  find: 'env: envWithoutFile(),',
  replace: 'env: ownEnvironment() && process.env,',
  test: 'test/env-file.test.ts',
  name: 'is reloaded by dev',
} satisfies Control
