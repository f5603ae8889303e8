import { expect, test } from 'vitest'
import { environment } from './environment.ts'

test('the error for an invalid setting names the variable', () => {
  expect(() => environment({ TIDINGS_PORT: '80000' })).toThrow('TIDINGS_PORT=80000 is not a port')
  for (const name of ['TIDINGS_STOP_WITHIN', 'TIDINGS_FAILED_FOR'])
    expect(() => environment({ [name]: 'soon' })).toThrow(`${name} is "soon", which is not a duration`)
  expect(environment({ TIDINGS_FAILED_FOR: '2h', TIDINGS_PORT: '' })).toMatchObject({ failedFor: '2h', port: 4110 })
})

test('the setting of an older version is refused with what to do instead', () => {
  const refused = { code: 'E_SETTING_INVALID', next: expect.stringContaining('tidings keys create') }
  expect(() => environment({ TIDINGS_APPROVERS: 'a.json' })).toThrow(expect.objectContaining(refused))
})
