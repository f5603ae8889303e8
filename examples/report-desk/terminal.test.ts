import { stripVTControlCharacters } from 'node:util'
import { expect, test } from 'vitest'
import { createEvent, type Draft } from '../../src/event.ts'
import { Live } from './terminal.ts'

test('requests, reminders and answers are printed as one line each, without control characters', () => {
  const live = new Live(200)
  const call = 'c.desk:0000009:0'
  const line = (draft: Omit<Draft, 'source'>) =>
    stripVTControlCharacters(live.line(createEvent({ source: '/workflows/desk', correlationid: 'c', ...draft }))!)
  const asked = line({ id: call, type: 'approval.requested', target: 'editor', data: { hash: '1', what: {} } })
  expect(asked).toMatch(/ desk .* asks the editor whether the draft may go out$/)
  expect(line({ id: 'c.desk:0000010:0', type: 'approval.reminded', subject: call, data: {} })).toMatch(
    / desk .* still waits for an answer$/,
  )
  const said = line({ type: 'approval.denied', call, data: { by: 'ann', comment: 'too\n\u001b[2Jlong' } })
  expect(said).toMatch(/ editor .* ann says no: too long$/)
  expect(line({ type: 'approval.granted', call, data: { by: 'ann' } })).toMatch(/ editor .* ann says yes$/)
  const error = { code: 'E_APPROVAL_DENIED', message: 'denied by ann' }
  expect(line({ id: 'c.desk:0000011:0', type: 'report.withheld', data: { error } })).toMatch(
    / desk .* no report goes out: E_APPROVAL_DENIED: denied by ann$/,
  )
})
