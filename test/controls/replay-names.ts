import type { Control } from './control.ts'

export default {
  fault: 'A replay looks names up by dns/promises.',
  file: 'src/replay/isolation.ts',
  find: '[dns, dns.promises, dns.Resolver.prototype, dns.promises.Resolver.prototype]',
  replace: '[dns, dns.Resolver.prototype]',
  test: 'test/replay/processes.test.ts',
  name: 'on sqlite .*reaches',
} satisfies Control
