import type { Control } from './control.ts'

export default {
  fault: 'Neither status nor top says that the provider of a model is away.',
  file: 'src/models/unavailable.ts',
  find: 'if (!open) return []',
  replace: 'if (!open || found.length > 0) return []',
  test: 'test/models/outage.test.ts',
  name: 'on sqlite .* status and top show',
} satisfies Control
