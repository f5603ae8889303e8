import type { Control } from './control.ts'

export default {
  fault: 'The headers of Svix are not read.',
  file: 'src/triggers/webhook/signatures.ts',
  find: "headers['svix-id'] !== undefined ? 'svix' : 'webhook'",
  replace: "headers['svix-id'] !== undefined ? 'webhook' : 'webhook'",
  test: 'src/triggers/webhook/providers.test.ts',
  name: 'headers may have the names of Svix, not a mixture, and its id identifies a request',
} satisfies Control
