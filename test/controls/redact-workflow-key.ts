import type { Control } from './control.ts'

export default {
  fault: 'Events whose keys are hidden meet in one instance of a workflow.',
  file: 'src/tasks/instances.ts',
  find: 'key === null || isRedacted(key)',
  replace: 'key === null || (isRedacted(key) && false)',
  test: 'test/redaction/holes.test.ts',
  name: 'do not meet',
} satisfies Control
