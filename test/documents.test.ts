import { randomUUID } from 'node:crypto'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { redactor } from '../src/bus/redact.ts'
import { TidingsError } from '../src/errors.ts'
import { Circuit, readCircuit } from '../src/models/circuit.ts'
import { publishWorkflows } from '../src/tasks/definitions.ts'
import { until } from '../src/testing/wait.ts'
import { tool } from '../src/tools/tool.ts'
import { workflow } from '../src/workflows/workflow.ts'
import { onEveryBus } from './lib/world.ts'

const token = `glpat-${'a1b2c3d4'.repeat(3)}`
const pay = tool('pay', { description: '', input: z.object({ pin: z.string() }), run: () => null })

onEveryBus(world => {
  test('a definition with a secret literal is stored redacted, by the rules of the app', async () => {
    const { bus } = await (await world()).worker({ use: [] }, { only: [] })
    const own = bus.withRedactor(redactor({ patterns: [{ name: 'pin', match: /\bpin-\d{6}\b/ }] }))
    const refund = workflow('refund', { on: 'a.b', within: '1h' })
      .call('paid', pay, () => ({ pin: 'pin-834921' }), { within: '1h' })
      .complete(() => ({ key: token }))
    await publishWorkflows(own, [refund.definition])

    const stored = await bus.documents.readText(refund.definition.document!.key)
    expect(stored).toContain('[redacted pin]')
    expect(stored).toContain('[redacted gitlab-token]')
    expect(stored).not.toMatch(/glpat-a|834921/)
  })

  test('a rule of the app changes the reason of an open circuit, and not the id of its probe', async () => {
    const { bus } = await (await world()).worker({ use: [] }, { only: [] })
    const own = bus.withRedactor(
      redactor({ patterns: [{ name: 'uuid', match: /[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/ }] }),
    )
    const circuit = new Circuit(own, 'gpt')
    const reason = `no such user ${randomUUID()}`
    const error = new TidingsError('E_MODEL_UNAVAILABLE', reason, { retryable: true })
    for (const request of ['1', '2', '3', '4', '5']) await circuit.failed(request, {}, { error, isRefusal: false })
    expect((await readCircuit(bus, 'gpt'))!.reason).toBe('no such user [redacted uuid]')
    const admitted = await until(async () => (await circuit.admit()).mayAsk, { within: 10_000 })
    expect(admitted).toBe(true)
  })

  test('concurrent updates are all applied, and an update without a change writes nothing', async () => {
    const { bus } = await (await world()).worker({ use: [] }, { only: [] })
    const numbers = Array.from({ length: 20 }, (_, i) => i)
    const add = (n: number) => bus.documents.update<number[]>('numbers', (known = []) => [...known, n])
    await Promise.all(numbers.map(add))
    expect((await bus.documents.read<number[]>('numbers'))!.toSorted((a, b) => a - b)).toEqual(numbers)

    const { revision } = await bus.documents.readRevision('numbers')
    expect(await bus.documents.update<number[]>('numbers', known => known)).toMatchObject({ isChanged: false })
    expect(await bus.documents.update('absent', () => undefined)).toEqual({ value: undefined, isChanged: false })
    expect(await bus.documents.readRevision('numbers')).toMatchObject({ revision })
    expect(await bus.documents.readText('absent')).toBeUndefined()
  })

  test('names in a document are kept even if a rule of the app matches them', async () => {
    const { bus } = await (await world()).worker({ use: [] }, { only: [] })
    const own = bus.withRedactor(redactor({ patterns: [{ name: 'word', match: /clerk/ }] }))
    await own.documents.update('names', () => ['clerk', token], { namesOnly: true })
    expect(await own.documents.read('names')).toEqual(['clerk', '[redacted gitlab-token]'])
    await own.documents.update('texts', () => ['clerk'])
    expect(await own.documents.read('texts')).toEqual(['[redacted word]'])
  })
})
