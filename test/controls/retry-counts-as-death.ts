import type { Control } from './control.ts'

export default {
  fault: 'Failed attempts count as deaths of the worker.',
  file: 'src/bus/retries.ts',
  find: 'return delivery.attempt - failures - holds',
  replace: 'return delivery.attempt - 0 * (failures + holds)',
  test: 'test/tools.test.ts',
  name: 'on sqlite .* more often than it may lose its worker',
} satisfies Control
