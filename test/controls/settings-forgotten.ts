import type { Control } from './control.ts'

export default {
  fault: 'The settings of an agent do not reach the provider.',
  file: 'src/models/station.ts',
  find: 'model.options, settings ?? {},',
  replace: 'model.options,',
  test: 'test/models/settings.test.ts',
  name: 'reach the provider',
} satisfies Control
