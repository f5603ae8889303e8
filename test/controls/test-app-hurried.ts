import type { Control } from './control.ts'

export default {
  fault: 'A test moves the clock while a tool still runs, so that its call times out.',
  file: 'src/testing/virtual-time.ts',
  find: '      } else if (!isBusy) quiet++\n',
  replace: '      } else if (!isBusy || activity > 0) quiet++\n',
  test: 'src/testing/test-app.test.ts',
  name: 'takes real time',
} satisfies Control
