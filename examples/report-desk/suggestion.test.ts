import { mkdtempSync, readFileSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { app, offlineModel, start } from '../../src/index.ts'
import { Library } from './library/library.ts'
import { members } from './members.ts'
import { answerAll, quotationsIn } from './sample.ts'
import { suggestion } from './suggestion.ts'

test('the suggested question is fully answered from its own document', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'report-desk-'))
  const library = new Library(join(folder, 'library.sqlite'))
  onTestFinished(() => {
    library.close()
    rmSync(folder, { recursive: true, force: true })
  })
  await library.refresh(realpathSync(join(import.meta.dirname, '../../node_modules')), { isPackage: true })
  const desk = app({ name: 'desk', use: members(library, join(folder, 'reports'), offlineModel({ msPerWord: 0 })).use })
  const { bus, stop } = await start(desk, { home: join(folder, 'home'), only: ['agents', 'tools', 'models'] })
  onTestFinished(stop)
  const ending = new AbortController()
  const answering = answerAll(bus, ending.signal)
  await bus.publish({ type: 'question.asked', data: { question: suggestion } })
  for await (const { event } of bus.follow('0', [{ types: ['report.completed'] }], AbortSignal.timeout(30_000))) {
    const { markdown } = (await bus.resolve(event)).data as { markdown: string }
    expect(markdown).toMatch(/^# .+\n\n## Short answer\n\n/)
    const files = quotationsIn(markdown).map(({ file }) => file)
    expect(new Set(files)).toEqual(new Set(['croner/README.md']))
    expect(markdown).toContain(
      "A time that doesn't exist (DST spring forward) runs at the first valid time after the gap",
    )
    break
  }
  ending.abort()
  await answering
})

test('the README suggests the same question', () => {
  const readme = readFileSync(join(import.meta.dirname, 'README.md'), 'utf8')
  const asked = [...readme.matchAll(/--ask "(How .+?)"|"question":"(.+?)"|\\n\\n(.+?)\\n'/g)].map(found =>
    found.slice(1).join(''),
  )
  expect(asked).toEqual([suggestion, suggestion, suggestion])
})
