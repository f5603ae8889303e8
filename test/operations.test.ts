import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { agent } from '../src/agents/agent.ts'
import { resultId } from '../src/bus/ids.ts'
import { operationRequestedType, operationTarget } from '../src/tasks/operation.ts'
import type { OperationView } from '../src/gateway/commands/operations.ts'
import { until } from '../src/testing/wait.ts'
import { listKeys } from '../src/gateway/identity/api-keys.ts'
import { tidings } from './lib/cli.ts'
import { keyFor, policyFile } from './lib/identity.ts'
import { all, buyer, operate, send, shop, taskIn } from './lib/operations.ts'
import { onEveryBus, type World } from './lib/world.ts'

/* Commands of operators, as events. */

interface OperationPage {
  readonly operations: readonly OperationView[]
  readonly next?: string
}

const sleeper = agent('sleeper', { on: 'sleep.wanted', run: ctx => ctx.sleep('1h') })
const use = [buyer, sleeper, shop.tool]
const child = join(import.meta.dirname, 'lib/operation-kill-app.ts')

onEveryBus(world => {
  async function withFailures(log: World, count: number, policy?: string) {
    shop.fails('down')
    const running = await log.worker({ use }, policy === undefined ? {} : { policy })
    await running.bus.publishAll(Array.from({ length: count }, (_, i) => ({ type: 'goods.wanted', data: `tea ${i}` })))
    const failed = await until(async () => (await all(running, 'agent.task.failed')).length === count && all(running, 'agent.task.failed'), { within: 30_000 }) // biome-ignore format: one line
    return { running, tasks: failed.map(taskIn) }
  }

  it('are executed for those whom the policy permits, within their tenant', async () => {
    const roles = { operator: { operate: true, publish: ['>'] }, guest: { publish: ['>'], read: ['>'] } }
    const log = await world()
    const { running, tasks } = await withFailures(log, 1, await policyFile({ roles }))
    const { bus } = running
    const ann = await keyFor(bus, 'ann', 'operator')
    const bob = await keyFor(bus, 'bob', 'guest')
    const eve = await keyFor(bus, 'eve', 'operator', 'acme')
    const pause = { action: 'pause', kind: 'tool', name: 'shop' }
    const retry = { action: 'retry', task: tasks[0] }

    // No credential, no right, another tenant.
    expect((await operate(running, pause)).status).toBe(401)
    expect(await operate(running, pause, bob)).toMatchObject({ status: 403, body: { error: { code: 'E_FORBIDDEN' } } })
    const ofAll = { status: 200, body: { status: 'failed', error: { code: 'E_FORBIDDEN' } } }
    expect(await operate(running, pause, eve)).toMatchObject(ofAll)
    const unseen = { status: 200, body: { status: 'failed', error: { code: 'E_NOT_FOUND' } } }
    expect(await operate(running, retry, eve)).toMatchObject(unseen)
    expect(await operate(running, { ...retry, action: 'cancel' }, eve)).toMatchObject(unseen)
    expect(await operate(running, { action: 'fork', task: tasks[0], turn: 1 }, eve)).toMatchObject(unseen)
    for (const theirs of [{ tasks: { since: '1h' } }, { ids: tasks }])
      expect(await operate(running, { action: 'retry', ...theirs }, eve)).toMatchObject({
        body: { status: 'completed', result: { found: 0, done: 0 } },
      })

    // What nobody may publish, and what somebody publishes past the gateway.
    const forged = { type: 'operation.completed', data: { found: 1 } }
    expect(await send(running, 'POST', '/events', forged, ann)).toMatchObject({
      status: 400,
      body: { error: { code: 'E_EVENT_INVALID' } },
    })
    const keys = await listKeys(bus)
    const keyOf = (user: string) => keys.find(({ name }) => name === user)!.id
    for (const [user, credential] of [
      ['bob', undefined],
      ['bob', { key: keyOf('bob') }],
      ['bob', { key: keyOf('ann') }],
      ['eve', { key: keyOf('eve') }],
      ['bob', { roles: ['operator'] }],
    ] as const) {
      const { id, correlationid } = await bus.publish({
        type: operationRequestedType,
        target: operationTarget(),
        user,
        data: { request: pause, ...(credential && { credential }) },
      })
      const answer = await until(() => bus.get(resultId(id), correlationid))
      expect([user, credential, answer]).toMatchObject([
        user,
        credential,
        { type: 'operation.failed', data: { error: { code: 'E_FORBIDDEN' } } },
      ])
    }
    expect(await all(running, 'control.paused')).toEqual([])
    expect(await all(running, 'agent.retry')).toEqual([])

    // Ann may, and the log names her.
    const paused = await operate(running, pause, ann)
    expect(paused).toMatchObject({
      status: 200,
      body: { status: 'completed', user: 'ann', request: pause, result: { found: 1, done: 1, unchanged: 0 } },
    })
    const { operation } = paused.body
    expect(paused.headers.get('location')).toBe(`operations/${operation}`)
    expect(await operate(running, pause, ann)).toMatchObject({ body: { result: { done: 0, unchanged: 1 } } })
    expect(await all(running, 'control.paused')).toMatchObject([
      { source: `/operators/ann/${operation}`, user: 'ann', correlationid: operation, causationid: operation },
    ])
    expect(await send(running, 'GET', `/operations/${operation}`, undefined, ann)).toMatchObject({ status: 200 })
    expect(await send(running, 'GET', `/operations/${operation}`, undefined, eve)).toMatchObject({ status: 404 })
    const listed = async (path: string, secret: string) =>
      (await send(running, 'GET', path, undefined, secret)).body as unknown as OperationPage
    const page = await listed('/operations?limit=1', ann)
    expect(page.operations).toMatchObject([{ request: pause, user: 'ann', result: { done: 0, unchanged: 1 } }])
    const older = await listed(`/operations?limit=1&before=${encodeURIComponent(page.next!)}`, ann)
    expect(older.operations).toMatchObject([{ operation, result: { done: 1 } }])
    expect((await listed('/operations', eve)).operations.map(({ user }) => user)).toEqual(Array(6).fill('eve'))
    expect((await send(running, 'GET', '/operations', undefined, bob)).status).toBe(403)
    expect(await operate(running, { ...pause, action: 'resume' }, ann)).toMatchObject({ body: { result: { done: 1 } } })
    expect(await operate(running, { ...pause, name: 'shopp' }, ann)).toMatchObject({
      body: { status: 'failed', error: { code: 'E_NOT_FOUND', message: expect.stringContaining('"shop"') } },
    })
    expect(await operate(running, { action: 'retry', task: tasks[0], tasks: { agent: 'buyer' } }, ann)).toMatchObject({
      status: 400,
      body: { error: { code: 'E_REQUEST_INVALID', message: expect.stringContaining('exactly one of') } },
    })
    shop.works()
    expect(await operate(running, retry, ann)).toMatchObject({
      body: { status: 'completed', result: { found: 1, done: 1, ids: tasks, started: [{ task: expect.any(String) }] } },
    })
    const why = await tidings(log.place, ['why', `retry/${tasks[0]}`])
    expect(why.stdout).toMatch(/agent\.retry +operator ann/)
    expect((await tidings(log.place, ['trace', tasks[0]!])).stdout).toMatch(/\[retry of \w+ by ann\]/)
  }, 60_000)

  it('retry, discard, cancel, release, fork and redrive one or many', async () => {
    const log = await world()
    const { running, tasks } = await withFailures(log, 4)
    const { bus } = running
    const result = async (body: object) => {
      const { body: view } = await operate(running, body)
      expect(view.error).toBeUndefined()
      return view.result
    }
    const failed = { agent: 'buyer', type: 'goods.*', code: 'E_TOOL_THREW', since: '1h' }
    expect(await result({ action: 'retry', tasks: failed, dryRun: true })).toEqual({
      found: 4,
      done: 0,
      unchanged: 0,
      refused: 0,
      ids: tasks,
    })
    expect(await result({ action: 'retry', tasks: { ...failed, text: 'goods' }, dryRun: true })).toMatchObject({
      found: 4,
    })
    expect(await result({ action: 'replay', tasks: { text: 'nowhere' }, dryRun: true })).toMatchObject({ found: 0 })
    for (const other of [{ type: 'goods.sold' }, { code: 'E_OTHER' }, { until: '1h' }, { text: 'nowhere' }])
      expect(await result({ action: 'retry', tasks: { ...failed, ...other } })).toMatchObject({ found: 0 })
    expect(await all(running, 'agent.retry')).toEqual([])

    expect(await result({ action: 'discard', task: tasks[0] })).toMatchObject({ done: 1, ids: [tasks[0]] })
    expect(await result({ action: 'retry', tasks: failed, limit: 1 })).toMatchObject({ found: 3, done: 1 })
    await until(async () => (await all(running, 'agent.task.failed')).length === 5)
    shop.works()
    expect(await result({ action: 'retry', tasks: failed })).toMatchObject({ found: 3, done: 3 })
    await until(async () => (await all(running, 'agent.task.completed')).length === 3)
    expect(await result({ action: 'retry', task: tasks[2] })).toMatchObject({ done: 0, unchanged: 1 })

    expect(await result({ action: 'pause', kind: 'agent', name: 'sleeper' })).toMatchObject({ done: 1 })
    await bus.publishAll([1, 2].map(data => ({ type: 'sleep.wanted', data })))
    const parked = { action: 'release', deliveries: { state: 'parked', type: 'sleep.wanted' }, dryRun: true }
    await until(async () => (await result(parked))?.found === 2, { within: 15_000 })
    const [first] = (await result(parked))!.ids
    // Of a choice, what is not on the list any more is left out.
    const chosen = [first!, '9999', tasks[0]!]
    expect(await result({ action: 'retry', ids: [tasks[0]!, 'x'], dryRun: true })).toMatchObject({ ids: [tasks[0]] })
    expect(await result({ action: 'discard', ids: chosen })).toMatchObject({ found: 1, done: 1, ids: [first] })
    expect(await result({ action: 'resume', kind: 'agent', name: 'sleeper' })).toMatchObject({ done: 1 })
    const sleeping = { action: 'cancel', tasks: { agent: 'sleeper' }, dryRun: true }
    await until(async () => (await result(sleeping))?.found === 1, { within: 15_000 })
    expect(await result({ ...sleeping, dryRun: false, reason: 'the night is over' })).toMatchObject({ done: 1 })
    const [cancelled] = await until(async () => {
      const ended = await all(running, 'agent.task.cancelled')
      return ended.length === 1 && ended
    })
    expect(cancelled!.data).toMatchObject({ reason: 'the night is over' })

    const live = { effects: { 'tool/shop': 'live' } }
    const forked = await result({ action: 'fork', task: tasks[1], turn: 1, ...live })
    const redriven = await result({ action: 'redrive', since: '1h', types: ['goods.wanted'], ...live })
    expect(redriven).toMatchObject({ found: 4, done: 4 })
    await until(async () => (await all(running, 'agent.task.completed')).length === 3 + 1 + 4, { within: 15_000 })
    const started = [...forked!.started!, ...redriven!.started!].map(({ correlation }) => correlation)
    const ended = (await all(running, 'agent.task.completed')).slice(-5).map(({ correlationid }) => correlationid)
    expect(ended.toSorted()).toEqual(started.toSorted())

    // Of two apps, the one whose task it is knows what its tools may do.
    await log.worker({ name: 'other', use: [agent('idle', { run: () => null })] })
    expect(await operate(running, { action: 'redrive', since: '1h' })).toMatchObject({
      status: 400,
      body: { error: { message: expect.stringContaining('other') } },
    })
    const twice = await operate(running, { action: 'fork', task: tasks[1], turn: 1 })
    expect(twice.body).toMatchObject({ status: 'completed', result: { done: 1 } })
    const { operation } = twice.body
    expect(await bus.get(operation, operation)).toMatchObject({ target: '$operations/test' })
    const { stdout } = await tidings(log.place, ['trace', operation])
    expect(stdout).toMatch(/by anyone +.*"action":"fork"/)
  }, 60_000)

  it('are continued after kill -9 in the middle, and do nothing twice', { timeout: 90_000 }, async () => {
    const log = await world()
    const { running, tasks } = await withFailures(log, 30)
    await running.stop()
    const worker = spawn(process.execPath, [child, log.place.home, log.place.bus, '12'], { stdio: ['ignore', 'pipe', 'inherit'] }) // biome-ignore format: one line
    onTestFinished(() => void worker.kill('SIGKILL'))
    await once(worker.stdout, 'data')
    const outside = await log.worker({ name: 'outside', use: [] }, { only: [] })
    const request = new Request('http://shop.example/operations', {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'idempotency-key': 'retry them' },
      body: JSON.stringify({ action: 'retry', tasks: { code: 'E_TOOL_THREW' } }),
    })
    const accepted = await outside.fetch(request.clone())
    expect(accepted.status).toBe(202)
    const { operation } = (await accepted.json()) as { operation: string }
    expect(await once(worker, 'exit')).toEqual([null, 'SIGKILL'])
    expect((await all(outside, 'agent.retry')).length).toBeLessThan(30)
    expect(await outside.bus.get(resultId(operation), operation)).toBeUndefined()

    shop.works()
    await log.worker({ use })
    const answer = await until(() => outside.bus.get(resultId(operation), operation), { within: 45_000 })
    const { data } = await outside.bus.resolve(answer)
    expect(data).toMatchObject({ found: 30, done: 30, unchanged: 0, refused: 0, ids: tasks })
    const retried = await all(outside, 'agent.retry')
    expect(retried).toHaveLength(30)
    expect(new Set(retried.map(({ retryof }) => retryof))).toEqual(new Set(tasks))
    expect((await (await outside.fetch(request)).json()) as object).toEqual({ operation })
    expect(await all(outside, 'operation.requested')).toHaveLength(1)
  })
})
