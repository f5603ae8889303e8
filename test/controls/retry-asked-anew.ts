import type { Control } from './control.ts'

export default {
  fault: 'An agent that the failed turn had called starts from the beginning.',
  file: 'src/tasks/earlier-calls.ts',
  find: '  return retry ? {',
  replace: '  return retry && !call.target ? {',
  test: 'test/retry-once.test.ts',
  name: 'that was called in the turn that failed',
} satisfies Control
