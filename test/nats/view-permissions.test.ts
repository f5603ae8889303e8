import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import first from '../../examples/first/app.ts'
import { taskId } from '../../src/bus/ids.ts'
import { until } from '../../src/testing/wait.ts'
import { describeNatsServer } from '../lib/nats.ts'
import { guarded, role, violations } from './lib/guarded.ts'

describeNatsServer('the views of operators, with the permissions of the template', () => {
  it.each([1, 2])('are served by a gateway without the app, on a log with %i partition(s)', async partitions => {
    const home = await mkdtemp(join(tmpdir(), 'tidings-views-'))
    onTestFinished(() => rm(home, { recursive: true, force: true }))
    const nats = await guarded({ partitions })
    const agents = await role(nats, 'agents', first, { home })
    await role(nats, 'tools', first, { home })
    await role(nats, 'models', first, { home })
    const { addresses } = await role(nats, 'gateway', first, { home, port: 0 })
    const get = async (path: string): Promise<any> => {
      const response = await fetch(`${addresses[0]}${path}`)
      const type = response.headers.get('content-type')
      const body = type === 'application/gzip' ? await response.bytes() : await response.json()
      return { status: response.status, body }
    }
    await get('/activity')
    const text = 'When is the shop open on Sunday?'
    const { id, correlationid } = await agents.bus.publish({ type: 'question.asked', data: { text } })
    await until(async () => (await get(`/tasks/${taskId(correlationid, 'desk', id)}`)).body.status === 'completed', {
      within: 20_000,
    })
    expect((await get('/info')).body).toMatchObject({
      log: { partitions, durability: { survives: expect.any(String) } },
      agents: [{ name: 'helper', model: expect.any(String), tools: ['notes.search'] }, { name: 'desk' }],
      types: [{ type: 'question.asked' }],
    })
    const activity = await until(async () => {
      const { body } = await get('/activity')
      return body.tools[0]?.calls > 0 && body
    })
    expect(activity).toMatchObject({ tools: [{ name: 'notes.search', failed: 0 }] })
    const { groups, history } = (await get('/groups')).body
    expect(groups).toContainEqual(expect.objectContaining({ group: 'tool/notes.search', kind: 'tool', lag: 0 }))
    expect(history.series['app/first'].lag).toBeInstanceOf(Array)
    expect((await get('/workers')).body.workers.map(({ hosts }: any) => hosts[0].kind).toSorted()).toEqual([
      'agent',
      'gateway',
      'model',
      'tool',
    ])

    await agents.pauses.set('tool', 'notes.search', true)
    await agents.bus.publish({ type: 'question.asked', data: { text } })
    const attention = await until(
      async () => {
        const { body } = await get('/attention')
        return body.count === 1 && body
      },
      { within: 15_000 },
    )
    expect(attention.items).toMatchObject([{ kind: 'parked', next: ['tidings resume tool notes.search'] }])
    const { tasks } = (await get('/tasks?program=desk&state=completed')).body
    const { events } = (await get('/events?text=sunday&type=question.asked')).body
    expect([tasks.length, events.length]).toEqual([1, 2])
    for (const path of [
      `/tasks/${tasks[0].task}/turns`,
      `/correlations/${correlationid}/events`,
      `/events/${id}/why`,
      '/correlations',
      '/usage',
    ])
      expect([path, (await get(path)).status]).toEqual([path, 200])
    for (const path of ['/workflows', '/operations', `/slice?correlation=${correlationid}`, '/slice?since=1h'])
      expect([path, (await get(path)).status]).toEqual([path, 200])
    // It tries once to remove a consumer of its own, which the server does later anyway.
    const refused = (await violations(nats)).filter(line => /user:gateway/.test(line))
    expect(refused.filter(line => !/CONSUMER\.DELETE/.test(line))).toEqual([])
    expect(refused.length).toBeLessThanOrEqual(partitions)
  })
})
