import type { Control } from './control.ts'

export default {
  fault: 'The constants of a workflow lie on the log in clear.',
  file: 'src/runtime/app.ts',
  find: "if (member.kind === 'workflow') assertNoSecrets(member.data, rules)",
  replace: "if (member.kind === 'workflow') void assertNoSecrets",
  test: 'test/redaction/apps.test.ts',
  name: 'a workflow is refused',
} satisfies Control
