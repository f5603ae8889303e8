import type { Control } from './control.ts'

export default {
  fault: 'A file .env that cannot be read ends the command.',
  file: 'src/cli/env-file.ts',
  find: '  } catch (error) {\n    const { code',
  replace: "  } catch (error) {\n    if (file !== '') throw error\n    const { code",
  test: 'test/env-file.test.ts',
  name: 'reported without its content',
} satisfies Control
