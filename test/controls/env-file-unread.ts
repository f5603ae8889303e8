import type { Control } from './control.ts'

export default {
  fault: 'A file .env beside the app is not read.',
  file: 'src/cli/env-file.ts',
  find: '    process.loadEnvFile(file)\n',
  replace: '',
  test: 'test/env-file.test.ts',
  name: 'is read beside the app',
} satisfies Control
