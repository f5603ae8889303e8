import type { Control } from './control.ts'

export default {
  fault: 'An app file cannot be loaded without the key of its model, also where nobody asks the model.',
  file: 'src/models/provider.ts',
  find: "const keyIn = (env: ModelEnvironment, variable: string): string => env[variable]?.trim() ?? ''",
  replace:
    "const keyIn = (env: ModelEnvironment, variable: string): string => {\n  const value = env[variable]?.trim()\n  if (!value) throw new TidingsError('E_MODEL_KEY', variable)\n  return value\n}",
  test: 'test/dev.test.ts',
  name: 'without the key',
} satisfies Control
