import type { Control } from './control.ts'

export default {
  fault: 'A workflow goes on after it has undone what it did.',
  file: 'src/replay/retry.ts',
  find: '  if (problem) {\n',
  replace: '  if (problem?.why === "") {\n',
  test: 'test/retry-many.test.ts',
  name: 'unless it waits for events',
} satisfies Control
