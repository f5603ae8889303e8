import { expect, it } from 'vitest'
import { workflow, type Duration } from '../../src/index.ts'
import { asked, codeOf, answerRequest } from '../lib/approvals.ts'
import { Story } from '../lib/workflows.ts'
import { onAnyBus } from '../lib/world.ts'

const letter = (within: Duration = '1h', remind?: Duration) =>
  workflow('letter', { on: 'letter.written', within: '2h' })
    .approve('editor', s => s.event, {
      approvers: ['ann', 'bob'],
      within,
      ...(remind !== undefined && { remind }),
      otherwise: b => b.complete(s => s.error),
    })
    .complete(s => s.editor)

onAnyBus(world => {
  const startFlow = async (flow: ReturnType<typeof letter>) => {
    const story = new Story(await (await world()).worker({ use: [flow] }), 'letter')
    await story.tell('letter.written', { text: 'Dear Sir' })
    const [request] = await asked(story.running.bus, story.correlation)
    return { story, request: request!, bus: story.running.bus }
  }

  it('a grant is kept with its approver', async () => {
    const { story, request, bus } = await startFlow(letter())
    expect(request.data).toMatchObject({ who: ['ann', 'bob'], what: { input: { text: 'Dear Sir' } } })
    expect(await codeOf(answerRequest(bus, 'grant', request, 'eve'))).toBe('E_APPROVAL_FORBIDDEN')
    await answerRequest(bus, 'grant', request, 'bob')
    expect(await story.end()).toMatchObject({ approved: true, by: 'bob' })
  })

  it('a no is a failure of the step, with the comment', async () => {
    const { story, request, bus } = await startFlow(letter())
    await answerRequest(bus, 'deny', request, 'ann', { comment: 'too short' })
    expect(await story.end()).toEqual({ code: 'E_APPROVAL_DENIED', message: 'denied by ann: too short' })
  })

  it('no answer in time is a failure too, and a later answer is refused', async () => {
    const { story, request, bus } = await startFlow(letter('100ms'))
    expect(await story.end()).toMatchObject({ code: 'E_CALL_EXPIRED' })
    expect(await codeOf(answerRequest(bus, 'grant', request))).toBe('E_APPROVAL_OVER')
  })

  it('reminders are sent until there is an answer', async () => {
    const { story, request, bus } = await startFlow(letter('1h', '60ms'))
    const [first] = await story.asked('approval.reminded', 3)
    expect(first).toMatchObject({ subject: request.id, data: { approval: 'editor', who: ['ann', 'bob'], what: { input: { text: 'Dear Sir' } } } }) // biome-ignore format: one line
    await answerRequest(bus, 'grant', request)
    await story.end()
    const types = (await story.events()).map(({ type }) => type)
    expect(types.lastIndexOf('approval.reminded')).toBeLessThan(types.indexOf('agent.task.completed'))
  })
})
