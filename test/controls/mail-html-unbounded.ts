import type { Control } from './control.ts'

export default {
  fault: 'HTML with a hundred thousand tags holds the event loop.',
  file: 'src/triggers/email/html.ts',
  find: 'const maxTags = 20_000',
  replace: 'const maxTags = 60_000',
  test: 'src/triggers/email/html.test.ts',
  name: 'HTML that costs more than its size suggests is cut, and the text says so',
} satisfies Control
