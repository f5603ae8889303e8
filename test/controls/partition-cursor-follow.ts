import type { Control } from './control.ts'

export default {
  fault: 'The cursor of a reader that follows advances in the first partition only.',
  file: 'src/drivers/nats/reader.ts',
  find: `        cursor = advance(cursor, position)
`,
  replace: `        if (position.partition === 0) cursor = advance(cursor, position)
`,
  test: 'test/nats/partitions.test.ts',
  name: 'are all followed',
} satisfies Control
