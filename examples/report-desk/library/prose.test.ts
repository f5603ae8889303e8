import { expect, test } from 'vitest'
import { proseAndCode } from './prose.ts'

const words = (text: string) => text.match(/\w+/g)?.join(' ') ?? ''

test.for([
  ['a fence', 'Read\n```js\nrun\n\n  more\n```\non', 'Read on', 'js run more'],
  ['a fence in a list', '- Read\n  ~~~\n  run\n  ~~~\n- on', 'Read on', 'run'],
  ['indented code', 'Read\n\n    run\n\n    more\n\non', 'Read on', 'run more'],
  [
    'indented prose',
    'Read\n    this\n\n- an item\n\n    with a paragraph\n\t- another',
    'Read this an item with a paragraph another',
    '',
  ],
  ['a component', 'Read\n<Table\n  run={[1]}\n/>\non <Note> this\n</Note>', 'Read on Note this Note', 'Table run 1'],
] as const)('%s', ([, text, prose, code]) => {
  const parts = proseAndCode(text)
  expect([words(parts.prose), words(parts.code)]).toEqual([prose, code])
})
