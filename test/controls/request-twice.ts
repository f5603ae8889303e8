import type { Control } from './control.ts'

export default {
  fault: 'A request that is repeated after its gateway died is published again.',
  file: 'src/gateway/commands/publish.ts',
  find: 'return { ...plan, isRepeated }',
  replace: 'return isRepeated ? { ...fresh, isRepeated } : { ...plan, isRepeated }',
  test: 'test/commands.test.ts',
  name: 'completes a publish',
} satisfies Control
