import { hash } from 'node:crypto'
import { expect, it } from 'vitest'
import { agent } from '../src/agents/agent.ts'
import type { AskOptions } from '../src/ask/client.ts'
import { Threads } from '../src/ask/threads.ts'
import { model } from '../src/models/model.ts'
import { plainModel } from './lib/plain-model.ts'
import { onAnyBus } from './lib/world.ts'

/* Conversations that the gateway lists, shows, renames, deletes and branches. */

interface Shown {
  readonly thread: string
  readonly title: string
  readonly messages: { readonly id: string; readonly role: string; readonly content: unknown }[]
}

onAnyBus(world => {
  const started = async () => {
    const { model: languageModel } = plainModel(prompt => `answer ${prompt.length}`)
    const chat = agent('chat', { model: model(languageModel), instructions: 'Chat.' })
    const running = await (await world()).worker({ use: [chat, agent('clerk', { run: () => 'done' })] })
    const send = async (method: string, path: string, body?: unknown) => {
      const init =
        body === undefined ? {} : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }
      const response = await running.fetch(new Request(`http://shop.example${path}`, { method, ...init }))
      return {
        status: response.status,
        body: response.status === 204 ? undefined : await response.json(),
      }
    }
    const say = async (input: string, options: { thread: string; after?: string | null; message?: string }) => {
      const handle = await running.ask(chat, input, options)
      return { task: handle.id, answer: await handle.result({ within: '20s' }) }
    }
    const shown = async (thread: string) => (await send('GET', `/threads/${thread}`)).body as Shown
    return { running, chat, send, say, shown }
  }

  it('lists threads by their last request, renames and deletes them', async () => {
    const { send, say } = await started()
    await say('My name is Ada.\nAnd I like tides.', { thread: 'one' })
    await say('When is high tide?', { thread: 'two' })
    await say('Who am I?', { thread: 'one' })
    const titles = async () => {
      const { threads } = (await send('GET', '/threads')).body as { threads: Shown[] }
      return threads.map(({ thread, title }) => `${thread}: ${title}`)
    }
    expect(await titles()).toEqual(['one: My name is Ada.', 'two: When is high tide?'])
    expect((await send('PATCH', '/threads/two', { title: 'Tides' })).body).toMatchObject({ title: 'Tides' })
    expect((await send('DELETE', '/threads/one')).status).toBe(204)
    expect(await titles()).toEqual(['two: Tides'])
    expect((await send('GET', '/threads/one')).status).toBe(404)
    expect((await say('Hello again.', { thread: 'one' })).answer).toBe('answer 2')
    expect(await titles()).toEqual(['one: Hello again.', 'two: Tides'])
  })

  it('branches a thread at an earlier task, and shows the newest branch', async () => {
    const { running, chat, say, shown } = await started()
    const first = await say('My name is Ada.', { thread: 'one', message: 'm1' })
    const second = await say('Who am I?', { thread: 'one', message: 'm2' })
    expect(second.answer).toBe('answer 4')
    const edited = await say('Who are you?', { thread: 'one', after: first.task, message: 'm3' })
    expect(edited.answer).toBe('answer 4')
    expect((await shown('one')).messages.map(({ id }) => id)).toEqual(['m1', first.task, 'm3', edited.task])
    const anew = await say('Begin again.', { thread: 'one', after: null })
    expect(anew.answer).toBe('answer 2')
    expect((await shown('one')).messages.map(({ content }) => content)).toEqual(['Begin again.', 'answer 2'])
    const after = 'a1b2'
    await expect(running.ask(chat, '?', { thread: 'one', after })).rejects.toMatchObject({ code: 'E_NOT_FOUND' })
  })

  it('shows all requests that were made at once', async () => {
    const { say, shown } = await started()
    const inputs = ['one', 'two', 'three', 'four']
    await Promise.all(inputs.map(input => say(input, { thread: 'one' })))
    const { messages } = await shown('one')
    const asked = messages.filter(({ role }) => role === 'user')
    expect(new Set(asked.map(({ content }) => content))).toEqual(new Set(inputs))
  })

  it('makes no thread for a request that it refuses', async () => {
    const { running, chat, send, say } = await started()
    const refused = (options: AskOptions) => running.ask(chat, 'Hello.', options)
    await expect(refused({ thread: 'no-after', after: 'a1b2' })).rejects.toMatchObject({ code: 'E_NOT_FOUND' })
    for (const thread of ['.', '..', '\ud800'])
      await expect(refused({ thread })).rejects.toMatchObject({ code: 'E_REQUEST_INVALID' })
    await say('Hello.', { thread: 'one' })
    await (await running.ask(chat, 'Keyed.', { idempotencyKey: 'k1' })).result({ within: '20s' })
    const reused = refused({ thread: 'no-key', idempotencyKey: 'k1' })
    await expect(reused).rejects.toMatchObject({ code: 'E_KEY_REUSED' })
    const ofOther = running.ask('clerk', 'Hello.', { thread: 'one' })
    await expect(ofOther).rejects.toThrow('the thread "one" is a conversation with "chat", which "clerk" does not know')
    expect((await send('GET', '/threads')).body).toMatchObject({ threads: [{ thread: 'one' }] })
    expect((await send('GET', '/threads/no-key')).status).toBe(404)
  })

  it('lists every thread that is in use, and brings none back by a new title', async () => {
    const { running } = await started()
    const threads = new Threads(running.bus, { tenant: 'default', user: 'ada' })
    const open = (thread: string) => threads.open(thread, 'chat', 'Hello.')
    const names = Array.from({ length: 150 }, (_, i) => `thread ${i}`)
    await Promise.all(names.map(open))
    const listed = async () => new Set((await threads.list()).map(({ thread }) => thread))
    expect(await listed()).toEqual(new Set(names))
    const list = `threads/default/${hash('sha256', 'ada')}`
    // A process was killed before it added the name.
    await running.bus.documents.update<string[]>(list, known => known!.filter(name => name !== names[0]))
    await open(names[0]!)
    expect(await listed()).toEqual(new Set(names))
    // The list is full of names that are newer, and one more comes after the last use of an old one.
    await running.bus.documents.update(list, () => [...Array.from({ length: 999 }, (_, i) => `new ${i}`), names[1]])
    await open(names[1]!)
    await open(names[2]!)
    expect(await listed()).toEqual(new Set(names.slice(1, 3)))
    await threads.delete(names[1]!)
    await expect(threads.rename(names[1]!, 'Tides')).rejects.toMatchObject({ code: 'E_NOT_FOUND' })
    expect(await threads.find(names[1]!)).toBeUndefined()
  })

  it('keeps the threads of users apart, also those of the same name', async () => {
    const { running, chat, send } = await started()
    const ask = async (input: string, user: string) =>
      (await running.ask(chat, input, { thread: 'one', user })).result({ within: '20s' })
    await ask('My name is Ada.', 'ada')
    expect(await ask('Who am I?', 'bob')).toBe('answer 2')
    expect(await ask('Who am I?', 'ada')).toBe('answer 4')
    expect((await send('GET', '/threads')).body).toEqual({ threads: [] })
    expect((await send('GET', '/threads/one')).status).toBe(404)
  })
})
