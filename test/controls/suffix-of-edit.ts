import type { Control } from './control.ts'

export default {
  fault: 'An input that a fork edits is named by its whole id resolveId.',
  file: 'src/cli/fork.ts',
  find: 'edits: await withFullIds(bus, origin, edits)',
  replace: 'edits: edits || withFullIds',
  test: 'test/again.test.ts',
} satisfies Control
