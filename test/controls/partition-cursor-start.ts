import type { Control } from './control.ts'

export default {
  fault: 'A reader that resumes starts in all partitions where it was in the first.',
  file: 'src/drivers/nats/following.ts',
  find: 'after: after[partition]!',
  replace: 'after: after[0]!',
  test: 'test/nats/partitions.test.ts',
  name: 'are all followed',
} satisfies Control
