import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stripVTControlCharacters } from 'node:util'
import { expect, onTestFinished, test } from 'vitest'
import { app, type CloudEvent, start, workflow } from '../../src/index.ts'
import { until } from '../../src/testing/wait.ts'
import { answer, Editor, me } from './editor.ts'

type Asked = CloudEvent<{ hash: string }>

/** An app that asks about each draft that is published, and an editor who sees what happens. */
async function office() {
  const home = mkdtempSync(join(tmpdir(), 'report-desk-editor-'))
  onTestFinished(() => rmSync(home, { recursive: true, force: true }))
  const ask = workflow('ask', { on: 'draft.written', within: '1h' })
    .approve('editor', s => s.event, { within: '1h' })
    .emit('draft.approved', s => s.editor)
  const running = await start(app({ use: [ask] }), { home, bus: 'sqlite', only: ['agents'] })
  onTestFinished(() => running.stop())
  const { bus } = running
  const screen: string[] = []
  const editor = new Editor(bus, text => screen.push(stripVTControlCharacters(text)))
  const eventsOf = async (type: string) =>
    Promise.all(
      (await Array.fromAsync(bus.read({ filter: [{ types: [type] }] }))).map(({ event }) => bus.resolve(event)),
    )
  /** The requests, once there are so many. */
  const asked = (count: number) =>
    until(async () => {
      const found = (await eventsOf('approval.requested')) as Asked[]
      return found.length === count && found
    })
  const write = (question: string, draft: string) => bus.publish({ type: 'draft.written', data: { question, draft } })
  return { bus, editor, screen, eventsOf, asked, write }
}

test('drafts are shown one at a time, earlier ones too; an answer applies to the one that is shown', async () => {
  const { bus, editor, screen, eventsOf, asked, write } = await office()
  await write('First?', Array.from({ length: 15 }, (_, i) => `line ${i}`).join('\n'))
  const [first] = await asked(1)
  await editor.recall(await bus.driver.head())
  expect(screen.join('\n')).toMatch(/go out\? {2}First\?\n {2}line 0\n[^]*line 11\n {2}… and 3 lines more\n/)
  expect(screen.join('\n')).toContain(`hash ${first!.data.hash}`)

  await write('Second?', 'Steer \u001b[2J\u0007the terminal.')
  const [, second] = await asked(2)
  await editor.hear(second!)
  expect(screen).toHaveLength(1)

  expect(await editor.takes('How does it rain?')).toBe(false)
  expect(await editor.takes(' n  too long ')).toBe(true)
  expect(await until(async () => (await eventsOf('approval.denied'))[0])).toMatchObject({
    call: first!.id,
    user: me(),
    data: { by: me(), hash: first!.data.hash, comment: 'too long' },
  })
  expect(screen.at(-1)).toMatch(/Second\?\n {2}Steer the terminal\.\n/)
  expect(await editor.takes('Y')).toBe(true)
  const approved = await until(async () => (await eventsOf('draft.approved'))[0])
  expect(approved.data).toMatchObject({ approved: true, by: me() })
  expect(screen).toHaveLength(2)
  await editor.takes('y')
  expect(screen.at(-1)).toBe('nothing waits for your approval')
})

test('a request that was answered elsewhere leaves the screen, or the answer is refused with a reason', async () => {
  const { bus, editor, screen, eventsOf, asked, write } = await office()
  for (const question of ['First?', 'Second?', 'Third?']) await write(question, 'A draft.')
  const [first, second, third] = (await asked(3)).map(({ id, data }) => [id, data.hash] as const)
  await answer(bus, ...first!, 'grant')
  await editor.recall(await bus.driver.head())
  expect(screen).toEqual([expect.stringContaining('Second?')])

  const granted = await answer(bus, ...second!, 'grant')
  await editor.takes('n')
  expect(screen[1]).toMatch(/granted the request at/)
  await editor.hear(granted)
  expect(screen.at(-1)).toContain('Third?')
  await editor.hear(await answer(bus, ...third!, 'deny'))
  await editor.takes('y')
  expect(screen.at(-1)).toBe('nothing waits for your approval')
  expect(await eventsOf('approval.granted')).toHaveLength(2)
})

test('a request that no task is waiting for is not shown', async () => {
  const { bus, editor, screen, asked, write, eventsOf } = await office()
  const { correlationid } = await write('First?', 'A draft.')
  const [{ id }] = (await asked(1)) as [Asked]
  await bus.publish({ type: 'agent.cancel', target: 'ask', subject: id.split(':')[0]!, correlationid, data: {} })
  await until(async () => (await eventsOf('agent.task.cancelled')).length === 1)
  await editor.recall(await bus.driver.head())
  expect(screen).toEqual([])
})
