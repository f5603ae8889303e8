import { stripVTControlCharacters } from 'node:util'
import { expect, test } from 'vitest'
import { linesOf, renderTask } from './render-details.ts'
import type { TaskDetails } from './details.ts'

const whole: TaskDetails = {
  kind: 'task',
  task: '01900000-0000-7000-8000-000000000001.0123456789',
  correlation: '01900000-0000-7000-8000-000000000001',
  tenant: 'default',
  program: 'planner',
  programVersion: 2,
  programHash: 'abc',
  state: 'waiting',
  waitsFor: [],
  more: { lemonOf: '01900000-0000-7000-8000-000000000001.9876543210', spent: { calls: 1 } },
  turns: [
    {
      id: '01900000-0000-7000-8000-000000000001.0123456789:0000003',
      position: { partition: 0, offset: 7 },
      program: 'planner',
      programVersion: 2,
      programHash: 'abc',
      version: 3,
      at: 0,
      inputs: [],
      emits: [{ id: '01900000-0000-7000-8000-000000000001.0123456789:0000003:0', type: 'note.made', hash: 'x' }],
      state: { step: 'two' },
      emitted: [],
    },
  ],
}

test('a task is shown with all other fields of its turns, and with what is missing', () => {
  const lines = renderTask(whole).map(stripVTControlCharacters)
  expect(lines).toEqual(
    expect.arrayContaining([
      '  lemonOf      01900000-0000-7000-8000-000000000001.9876543210',
      '  spent        {"calls":1}',
      '  turns 1 to 2 are no longer on the log',
      '  out note.made 456789:3:0 no longer on the log',
      '  state',
      '      step: "two"',
    ]),
  )
})

test('data is shown in lines, and none of them moves the cursor', () => {
  const data = { text: 'a\n\u001b[2Jb', list: [[1, 'x'], {}], 'odd\u202ekey': null, empty: '' }
  expect(linesOf(data)).toEqual([
    'text: |',
    '  a',
    '   [2Jb',
    'list:',
    '  -',
    '    - 1',
    '    - "x"',
    '  - {}',
    'odd key: null',
    'empty: ""',
  ])
})
