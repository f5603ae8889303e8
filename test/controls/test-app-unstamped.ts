import type { Control } from './control.ts'

export default {
  fault: 'Events on a log with its own clock carry the time of the machine.',
  file: 'src/bus/bus.ts',
  find: 'this.driver.now === undefined ? event',
  replace: 'this.driver.now !== null ? event',
  test: 'src/testing/test-app.test.ts',
  name: 'does not move while the app works, or while no test waits',
} satisfies Control
