import type { Control } from './control.ts'

export default {
  fault:
    'A request that is repeated after its gateway died publishes nothing, even if the gateway had only stored its key.',
  file: 'src/gateway/commands/publish.ts',
  find: 'plan.isRepeated ? await missingOf(bus, drafts) : drafts',
  replace: 'plan.isRepeated ? [] : drafts',
  test: 'test/commands.test.ts',
  name: 'completes a publish',
} satisfies Control
