import type { Control } from './control.ts'

export default {
  fault: 'An event for an agent that was never hosted is stored, and nothing comes of it.',
  file: 'src/tasks/hosts.ts',
  find: '  if (unknown)\n',
  replace: "  if (unknown === '')\n",
  test: 'test/dev.test.ts',
  name: 'never hosted',
} satisfies Control
