import type { Control } from './control.ts'

export default {
  fault: 'A warning of a folder says the names of its files in clear.',
  patches: [
    {
      file: 'src/bus/telemetry/warn.ts',
      find: 'redactor.text(typeof problem',
      replace: 'String(typeof problem',
    },
    {
      file: 'src/triggers/files/publish.ts',
      find: '`${pathOnLog(bus, data.path)} does not match ${type}`',
      replace: '`${data.path} does not match ${type}`',
    },
  ],
  test: 'test/redaction/holes.test.ts',
  name: 'the name of a file',
} satisfies Control
