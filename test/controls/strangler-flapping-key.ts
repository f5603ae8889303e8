import type { Control } from './control.ts'

export default {
  fault: 'A user comes back to the old code while the percentage of the candidate grows.',
  file: 'src/strangler/bucket.ts',
  find: 'return bucketOf(strangler, keys[0]!) < percent',
  replace: 'return bucketOf(`${strangler} ${percent}`, keys[0]!) < percent',
  test: 'src/strangler/differences.test.ts',
  name: 'never leaves the candidate',
} satisfies Control
