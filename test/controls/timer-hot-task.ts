import type { Control } from './control.ts'

export default {
  fault: 'A worker that is woken for a turn of another worker looks only at what it has cached of the task.',
  file: 'src/tasks/task-decider.ts',
  find: '(woken && !isDue(task, now))',
  replace: 'false',
  test: 'test/timers.test.ts',
  name: 'does not expect a wake-up',
} satisfies Control
