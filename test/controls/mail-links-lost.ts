import type { Control } from './control.ts'

export default {
  fault: 'The text of an HTML mail does not say where its links lead.',
  file: 'src/triggers/email/html.ts',
  find: "{ selector: 'a', format: 'link' }",
  replace: "{ selector: 'a', format: 'inline' }",
  test: 'src/triggers/email/html.test.ts',
  name: 'links keep where they lead',
} satisfies Control
