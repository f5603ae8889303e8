import { userInfo } from 'node:os'
import { describe, expect, it } from 'vitest'
import { agent } from '../src/agents/agent.ts'
import { resultId } from '../src/bus/ids.ts'
import { keyText } from '../src/gateway/identity/api-keys.ts'
import { approval, type ApprovalDecision } from '../src/tasks/approval.ts'
import { until } from '../src/testing/wait.ts'
import { shortId } from '../src/trace/short-id.ts'
import { asked } from './lib/approvals.ts'
import { tidings } from './lib/cli.ts'
import { bearer, keyFor, policyFile } from './lib/identity.ts'
import { ended, eventsOf, onAnyBus, type World } from './lib/world.ts'

const editor = approval<string>('editor')
const owner = approval<string>('owner', { approvers: ['bob'] })
const desk = agent('desk', { on: 'draft.written', run: (ctx, draft: string) => ctx.call(editor, draft) })
const firm = agent('firm', { on: 'sale.wanted', run: (ctx, text: string) => ctx.call(owner, text) })
const hasty = agent('hasty', { on: 'draft.urgent', run: ctx => ctx.call(editor, 'now', { within: 200 }) })
const use = [desk, firm, hasty]
/** A key of the right form that is not the right one. */
const wrongOf = (key: string) => keyText(key.slice(8, 18), 'x'.repeat(43))
const me = `cli/${userInfo().username}`

interface Answer {
  status: number
  headers: Headers
  body: { error?: { code: string; message: string }; approvals?: { id: string; hash: string; what: unknown }[] }
}

const roles = { approver: { approve: ['>'] }, reader: { read: ['>'] }, editor: { approve: ['editor'] } }

async function open(log: World, isGuarded = true) {
  const policy = await policyFile({ roles })
  const only = ['agents', 'gateway'] as const
  const worker = await log.worker({ use }, { only, port: 0, ...(isGuarded && { policy }) })
  const ann = await keyFor(worker.bus, 'ann', 'approver')
  const bob = await keyFor(worker.bus, 'bob', 'approver')
  const call = async (path: string, token?: string, init: RequestInit = {}): Promise<Answer> => {
    const headers = { ...(token && bearer(token)), ...(init.headers as object) }
    const response = await fetch(`${worker.addresses[0]}${path}`, { ...init, headers })
    return { status: response.status, headers: response.headers, body: (await response.json()) as Answer['body'] }
  }
  const post = (id: string, token: string | undefined, body: unknown, headers: object = {}) =>
    call(`/approvals/${encodeURIComponent(id)}`, token, {
      method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(body),
    }) // biome-ignore format: one table
  const begin = async (type: string, data: unknown = 'Lorem') => {
    const { id, correlationid } = await worker.bus.publish({ type, data })
    const [request] = await asked(worker.bus, correlationid)
    const decision = async () => ((await ended(worker, correlationid, id)).data as { output: ApprovalDecision }).output
    return { request: request!, decision, correlationid, id }
  }
  return { ...worker, log, call, post, begin, ann, bob }
}

onAnyBus(world => {
  describe('over HTTP', () => {
    it('a key lists the requests that wait and answers them in the name of its person', async () => {
      const { bus, call, post, begin, ann, bob } = await open(await world())
      const first = await begin('draft.written', 'One')
      const second = await begin('sale.wanted', 'Two')
      const { body } = await call('/approvals', bob)
      expect(body.approvals!.map(({ id, what }) => [id, what])).toEqual([
        [first.request.id, { input: 'One' }],
        [second.request.id, { input: 'Two' }],
      ])
      expect((await call('/approvals', ann)).body.approvals!.map(({ id }) => id)).toEqual([first.request.id])
      const { hash } = body.approvals![0]!
      const granted = await post(first.request.id, ann, { decision: 'grant', hash, comment: 'Fine.' })
      const at = expect.any(String)
      expect(granted).toMatchObject({ status: 200, body: { id: first.request.id, decision: 'grant', by: 'ann', at } })
      expect(await first.decision()).toEqual({ approved: true, by: 'ann', at, comment: 'Fine.' })
      expect(await bus.get(resultId(first.request.id), first.correlationid)).toMatchObject({
        user: 'ann',
        source: '/gateway',
      })
      const denied = await post(second.request.id, bob, { decision: 'deny', hash: second.request.data.hash })
      expect(denied.status).toBe(200)
      expect(await second.decision()).toEqual({ approved: false, by: 'bob', at })
      expect((await call('/approvals', bob)).body).toEqual({ approvals: [] })
    })

    it('an answer is refused with the status of its reason', async () => {
      const { bus, call, post, begin, ann, bob } = await open(await world())
      const { request } = await begin('sale.wanted')
      const { hash } = request.data
      const reader = await keyFor(bus, 'bob', 'reader')
      const foreign = await keyFor(bus, 'bob', 'approver', 'acme')
      const other = await keyFor(bus, 'bob', 'editor')
      expect((await call('/approvals', other)).body).toEqual({ approvals: [] })
      expect((await call('/approvals', foreign)).body).toEqual({ approvals: [] })
      const refusals: [number, string, Promise<Answer>][] = [
        [401, 'E_CREDENTIAL_UNKNOWN', post(request.id, undefined, { decision: 'grant', hash })],
        [401, 'E_CREDENTIAL_UNKNOWN', post(request.id, 'not-a-key', { decision: 'grant', hash })],
        [401, 'E_CREDENTIAL_UNKNOWN', post(request.id, wrongOf(bob), { decision: 'grant', hash })],
        [401, 'E_CREDENTIAL_UNKNOWN', call('/approvals')],
        [403, 'E_FORBIDDEN', call('/approvals', reader)],
        [403, 'E_FORBIDDEN', post(request.id, other, { decision: 'grant', hash })],
        [403, 'E_FORBIDDEN', post(request.id, reader, { decision: 'grant', hash })],
        [404, 'E_NOT_FOUND', post(request.id, foreign, { decision: 'grant', hash })],
        [403, 'E_APPROVAL_FORBIDDEN', post(request.id, ann, { decision: 'grant', hash })],
        [403, 'E_REQUEST_INVALID', post(request.id, bob, { decision: 'grant', hash }, { origin: 'http://evil.example' })],
        [404, 'E_NOT_FOUND', post(`${request.id}9`, bob, { decision: 'grant', hash })],
        [405, 'E_REQUEST_INVALID', call(`/approvals/${request.id}`, bob)],
        [409, 'E_APPROVAL_CHANGED', post(request.id, bob, { decision: 'grant', hash: 'f'.repeat(16) })],
        [415, 'E_REQUEST_INVALID', post(request.id, bob, {}, { 'content-type': 'text/plain' })],
        [413, 'E_REQUEST_TOO_LARGE', post(request.id, bob, { comment: 'x'.repeat(70_000) })],
        ...[[], null, 'grant', {}, { hash }, { decision: 'grant' }, { decision: 'yes', hash }, { decision: 'grant', hash, by: 'bob' },
          { decision: 'grant', hash: 1 }, { decision: 'grant', hash, comment: 1 }].map(
          (body): [number, string, Promise<Answer>] => [400, 'E_REQUEST_INVALID', post(request.id, bob, body)],
        ),
      ] // biome-ignore format: one table
      for (const [status, code, refused] of refusals)
        expect(await refused).toMatchObject({ status, body: { error: { code } } })
      expect((await post(request.id, undefined, {})).headers.get('www-authenticate')).toBe('Bearer')
      expect((await post(request.id, bob, { decision: 'grant', hash })).status).toBe(200)
      const twice = await post(request.id, bob, { decision: 'grant', hash })
      expect(twice).toMatchObject({ status: 409, body: { error: { code: 'E_APPROVAL_ANSWERED' } } })
      const repeat = (decision: string) => post(request.id, bob, { decision, hash }, { 'idempotency-key': 'k' })
      const repeated = await repeat('grant')
      expect(repeated).toMatchObject({ status: 200, body: { id: request.id, decision: 'grant', by: 'bob' } })
      expect(repeated.headers.get('idempotency-replayed')).toBe('true')
      expect(await repeat('deny')).toMatchObject({ status: 409, body: { error: { code: 'E_APPROVAL_ANSWERED' } } })
      const late = await begin('draft.urgent')
      await until(() => Date.parse(late.request.deadline!) < Date.now())
      const over = await post(late.request.id, ann, { decision: 'grant', hash: late.request.data.hash })
      expect(over).toMatchObject({ status: 410, body: { error: { code: 'E_APPROVAL_OVER' } } })
    })

    it('without a policy no one can answer, and an answer published as an event is refused', async () => {
      const log = await world()
      const { call, post, begin, addresses, ann } = await open(log, false)
      const { request } = await begin('draft.written')
      const hash = request.data.hash
      for (const refused of [await call('/approvals', ann), await post(request.id, ann, { decision: 'grant', hash })])
        expect(refused).toMatchObject({
          status: 403,
          body: { error: { code: 'E_CREDENTIAL_UNKNOWN', next: expect.stringContaining('TIDINGS_POLICY') } },
        })
      for (const type of [
        'approval.granted',
        'approval.denied',
        'approval.requested',
        'workflow.started',
        'schedule.fired',
      ]) {
        const body = JSON.stringify({ type, target: 'desk', correlationid: request.correlationid, data: { hash } })
        const headers = { 'content-type': 'application/json' }
        const { status } = await fetch(`${addresses[0]}/events`, { method: 'POST', headers, body })
        expect([type, status]).toEqual([type, 400])
      }
    })

    it('wrong keys are limited by address, and right ones are not', async () => {
      const { call, ann } = await open(await world())
      for (let i = 0; i < 10; i++) expect((await call('/approvals', wrongOf(ann))).status).toBe(401)
      const limited = await call('/approvals', wrongOf(ann))
      expect(limited).toMatchObject({ status: 429, body: { error: { code: 'E_CREDENTIAL_UNKNOWN' } } })
      expect(Number(limited.headers.get('retry-after'))).toBeGreaterThan(0)
      expect((await call('/approvals', ann)).status).toBe(200)
    })
  })

  describe('on the command line', () => {
    it('a user of the machine lists the requests that wait and answers them', async () => {
      const log = await world()
      const { begin, bus } = await open(log)
      const first = await begin('draft.written', 'Lorem\u001b[31m ipsum')
      const second = await begin('sale.wanted', 'A house')
      const third = await begin('draft.written', 'Three')
      const listed = await tidings(log.place, ['approvals'])
      expect(listed.stdout).toContain(`editor  ${first.request.id}\n  {"input":"Lorem`)
      expect(listed.stdout).not.toContain('\u001b')
      expect(listed.stdout).toContain(`approvers: bob  hash ${second.request.data.hash}`)
      const granted = await tidings(log.place, ['approve', first.request.id, '--comment', 'Go.'])
      expect(granted).toMatchObject({ code: 0, stderr: '' })
      expect(granted.stdout).toContain('"input": "Lorem')
      expect(granted.stdout).toContain(first.request.data.hash)
      expect(granted.stdout).toContain(`granted by ${me}`)
      expect(await first.decision()).toMatchObject({ approved: true, by: me, comment: 'Go.' })
      const answer = await bus.get(resultId(first.request.id), first.correlationid)
      expect(answer).toMatchObject({ user: me, source: '/cli' })

      expect(listed.stdout).toMatch(/asked by desk, turn 1\n/)
      const end = shortId(third.request.id)
      const denied = JSON.parse((await tidings(log.place, ['deny', end, '--json'])).stdout)
      expect(denied).toMatchObject({ id: third.request.id, decision: 'deny', by: me, what: { input: 'Three' } })
      expect(await third.decision()).toMatchObject({ approved: false })
      expect(listed.stdout).toContain(`→ tidings approve ${end}  or  tidings deny ${end}\n`)
      expect(listed.stdout).not.toContain(`tidings approve ${shortId(second.request.id)}`)
      const twice = JSON.parse((await tidings(log.place, ['approve', end, '--json'])).stderr)
      expect(twice.error).toMatchObject({
        code: 'E_APPROVAL_ANSWERED',
        message: expect.stringMatching(`^${me} denied the request at \\d{4}-`),
      })

      const { code, stderr } = await tidings(log.place, ['approve', second.request.id, '--json'])
      expect([code, JSON.parse(stderr).error.code]).toEqual([1, 'E_APPROVAL_FORBIDDEN'])
      const [line, ...more] = (await tidings(log.place, ['approvals', '--json'])).stdout.trim().split('\n')
      expect(JSON.parse(line!)).toMatchObject({ id: second.request.id, name: 'owner', approvers: ['bob'] })
      expect(more).toEqual([])
      const types = (await eventsOf({ bus }, second.correlationid)).map(({ type }) => type)
      expect(types).not.toContain('approval.granted')
    })
  })
})
