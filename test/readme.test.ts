import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import { expect, it, test } from 'vitest'
import first from '../examples/first/app.ts'
import { until } from '../src/testing/wait.ts'
import { eventsOf, onAnyBus } from './lib/world.ts'

const read = (file: string) => readFile(new URL(`../${file}`, import.meta.url), 'utf8')

test('the README is short above its reference tables', async () => {
  const [above] = (await read('README.md')).split('## The command')
  expect(above!.trim().split(/\s+/).length).toBeLessThanOrEqual(700)
})

test('the glossary names files that exist, in alphabetical order', async () => {
  const rows = [...(await read('docs/glossary.md')).matchAll(/^\| \*\*(.+?)\*\* .*\| `(src\/\S+)` \|$/gm)]
  expect(rows.length).toBeGreaterThanOrEqual(30)
  expect(await read('README.md')).toContain(`[Glossary](docs/glossary.md): ${rows.length} terms`)
  const terms = rows.map(([, term]) => term!.toLowerCase())
  expect(terms).toEqual(terms.toSorted())
  const files = rows.map(([, , file]) => file!)
  expect(files.filter(file => !existsSync(new URL(`../${file}`, import.meta.url)))).toEqual([])
})

test('the tests in docs/testing.md are those of a file, and they pass', async () => {
  const file = 'examples/first/app.test.ts'
  const source = (await read(file))
    .replace('../../src/index.ts', 'tidings')
    .replace('../../src/testing/index.ts', 'tidings/testing')
  const snippets = [...(await read('docs/testing.md')).matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code]) => code!)
  expect(snippets.length).toBeGreaterThan(3)
  expect(snippets.filter(code => !source.includes(code))).toEqual([])
  await promisify(execFile)(process.execPath, ['--test', file], { cwd: new URL('..', import.meta.url) })
})

test('the first code in docs/custom-driver.md is a file that the suite runs', async () => {
  const source = (await read('examples/memory-driver/first-step.test.ts'))
    .replace('../../src/driver.ts', 'tidings/driver')
    .replace('../../src/testing/conformance/index.ts', 'tidings/testing/conformance')
  const [, first] = /^```ts\n(.*?)^```$/ms.exec(await read('docs/custom-driver.md'))!
  expect(first).toBe(source)
})

onAnyBus(world =>
  it('the example in the README is the file, and it answers', async () => {
    const source = await read('examples/first/app.ts')
    const readme = await read('README.md')
    expect(readme).toContain(source.replace('../../src/index.ts', 'tidings').trim())

    const worker = await (await world()).worker({ use: first.use })
    const { correlationid } = await worker.bus.publish({
      type: 'question.asked',
      data: { text: 'When is the shop open on Sunday?' },
    })
    const answered = await until(async () =>
      (await eventsOf(worker, correlationid)).find(({ type }) => type === 'question.answered'),
    )
    expect(answered.data).toMatchObject({
      answer: expect.stringContaining('On Sunday the shop is open from ten to four.'),
    })
  }),
)
