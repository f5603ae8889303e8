import type { Control } from './control.ts'

export default {
  fault: 'A worker with some of the roles says that it runs everything.',
  file: 'src/cli/run.ts',
  find: 'const parts = hosted.flatMap',
  replace: 'const parts = roles.flatMap',
  test: 'test/roles.test.ts',
} satisfies Control
