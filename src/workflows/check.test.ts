import { expect, it } from 'vitest'
import { z } from 'zod'
import { plainRedactor } from '../bus/redact.ts'
import { createEvent } from '../event.ts'
import { tool } from '../tools/tool.ts'
import { absent, any, count, on, seq } from './patterns.ts'
import { is } from './refs.ts'
import { by } from './key.ts'
import { workflow, type Workflow } from './workflow.ts'

const work = tool('work', { description: '', input: z.any(), run: () => 1 })
const base = (options: object = {}) => workflow('flow', { on: 'a', within: '1h', ...options })
const stepIds = (flow: Pick<Workflow, 'data'>) => JSON.stringify(flow.data).match(/(?<="id":")[^"]*/g)

it('step ids contain the path, so that each is unique', () => {
  const flow = base()
    .call('x', work, () => 1, { otherwise: b => b.emit('no', () => 1) })
    .call('x', work, () => 2)
    .repeat('x', b => b.wait('1s').wait('2s'), { until: s => is(s.x, 1), maxRounds: 2 })
    .choose(
      s => is(s.x, 1),
      b => b.wait('1s'),
      b => b.wait('1s'),
    )
  expect(stepIds(flow)).toEqual([
    'event', 'x', 'x/no', 'x#2', 'x#3', 'x#3/wait', 'x#3/wait#2', 'choose', 'choose/wait', 'choose/wait#2',
  ]) // biome-ignore format: one list
})

const wrong: Record<string, [make: () => unknown, text: RegExp]> = {
  'no name': [() => workflow('Flow', { on: 'a', within: '1h' }).data, /"Flow" is not a workflow name/],
  'no version': [() => base({ version: 0 }).data, /option "version" must be a whole number from 1, not 0/],
  'nothing that begins it': [() => workflow('flow', { within: '1h' }).wait('1s').data, /nothing starts it/],
  'no bound': [() => base({ within: 'soon' }).data, /option "within" must be a duration such as .*, not "soon"/],
  'no bound of a step': [
    () => base().when('b', on('b'), {} as never).data,
    /step "b" .*: the option "within" is missing/,
  ],
  'a type without a key': [
    () => workflow('flow', { key: [by('a', e => e.n)], within: '1h' }).when('b', on('b'), { within: '1h' }).data,
    /it waits for b but has no key for it/,
  ],
  'a key that names an event instead of a field': [() => by('a', e => e), /the key must be a field of the event/],
  'a call that waits for events': [
    () => workflow('flow', { input: z.any(), within: '1h' }).when('b', on('b'), { within: '1h' }).data,
    /a workflow with `input` cannot wait for b/,
  ],
  'a name that nothing keeps': [
    () => base().emit('x', s => (s as any).plan).data,
    /x reads "plan", which no step stores/,
  ],
  'a name that is not kept': [() => base().call('it', work, () => 1).data, /the name "it" is reserved/],
  'a name of JavaScript': [() => base().call('__proto__', work, () => 1).data, /the name "__proto__" is reserved/],
  'a name that cannot be read': [
    () => base().when('b', on('b').as('then'), { within: 1 }).data,
    /the name "then" is reserved/,
  ],
  'a name with a hyphen': [
    () => base().call('a-b', work, () => 1).data,
    /the name "a-b" is reserved or not an identifier/,
  ],
  'a name that another step is given': [
    () => ['b', 'b#2', 'b'].reduce((flow, name) => flow.when(name, on('b'), { within: 1 }), base()).data,
    /two steps have the id b#2/,
  ],
  'no rounds': [
    () => base().repeat('r', b => b.wait(1), { until: s => is(s.event, 1), maxRounds: 0 }).data,
    /maxRounds must be a positive integer/,
  ],
  'rounds that wait for nothing': [
    () => base().repeat('r', b => b.emit('x', () => 1), { until: s => is(s.event, 1), maxRounds: 3 }).data,
    /at least one of its steps must wait/,
  ],
  'no call at a time': [
    () => base().each('l', () => [], work, { parallel: 0 }).data,
    /step "l" .*: the option "parallel" must be a whole number from 1, not 0/,
  ],
  'a bound that no clock reaches': [() => base({ within: 1e18 }).data, /longer than a thousand years/],
  'a wait that no clock reaches': [() => base().wait(1e18).data, /longer than a thousand years/],
  'an event of the runtime': [
    () => base().emit('timer.set', () => 1).data,
    /timer.set.* (is reserved for|is a type of) the runtime/,
  ],
  'no quorum': [
    () => base().each('l', () => [], work, { join: { quorum: 0 } }).data,
    /quorum must be a positive integer/,
  ],
  'nothing to call': [() => base().parallel('p', {}, () => ({})).data, /needs at least one target/],
  'an input that nothing keeps': [
    () => base().parallel('p', { work }, (s: any) => ({ work: s.none })).data,
    /reads "none"/,
  ],
  'no reminder': [
    () => base().approve('ann', () => 1, { within: '1h', remind: 0 }).data,
    /remind must be longer than 0 ms/,
  ],
  'no number of events': [() => count(0, on('a')), /count\(0\): expected an integer from 1 to 1000/],
  'no time of an absence': [() => absent(on('a'), 'never' as never), /"never" is not a duration/],
  'no pattern': [() => seq(), /seq\(\) needs at least one pattern/],
  'no alternative': [() => any(), /any\(\) needs at least one pattern/],
  'a pattern of types': [() => on('order.*'), /order\.\*/],
  'a model that is called': [
    () => base().call('x', { kind: 'model', name: 'gpt' } as never, () => 1),
    /cannot call model "gpt"/,
  ],
  'a tool that is started': [() => base().start(work as never, () => 1), /start\(\) cannot start the tool/],
}

it.each(Object.keys(wrong))('%s is refused with a clear text', name => {
  const [make, text] = wrong[name]!
  expect(make).toThrow(text)
})

it('a definition is pure data, and the same steps have the same hash', () => {
  const flow = () => base().when('b', on('b').where(it => is(it.n, 1)), { within: '1h' }) // biome-ignore format: one flow
  expect(JSON.parse(JSON.stringify(flow().data))).toEqual(flow().data)
  expect(flow().definition.hash).toBe(flow().definition.hash)
  expect(flow().definition.hash).not.toBe(flow().wait(1).definition.hash)
})

it('a definition that is redacted on the log keeps its hash', async () => {
  const declared = base().emit('b', () => ({ token: `ghp_${'x1'.repeat(20)}` })).definition // biome-ignore format: one flow
  const stored = plainRedactor.json(declared.document!.text)
  expect(stored).not.toBe(declared.document!.text)
  const read = await base().wait('1s').definition.pinned!(declared.hash, async () => stored)
  const machine = read.machine(createEvent({ type: 'a', data: null }), plainRedactor)
  expect([read.hash, machine.pinned!()!.hash]).toEqual([declared.hash, declared.hash])
})
