import type { Control } from './control.ts'

export default {
  fault: 'A form of GitHub fits no type.',
  file: 'src/triggers/webhook/receive.ts',
  find: "options.scheme === 'github')",
  replace: 'false)',
  test: 'src/triggers/webhook/providers.test.ts',
  name: 'the JSON in its payload',
} satisfies Control
