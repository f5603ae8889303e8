import type { Control } from './control.ts'

export default {
  fault: 'The janitor of the embedded log fails at a malformed row.',
  file: 'src/drivers/sqlite/writer/log-janitor.ts',
  find: "CASE WHEN json_valid(event) THEN event ->> '$.time' END",
  replace: "event ->> '$.time'",
  test: 'test/sqlite-malformed.test.ts',
} satisfies Control
