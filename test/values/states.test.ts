import fc from 'fast-check'
import { expect, it } from 'vitest'
import { answerTo } from '../../src/bus/answer.ts'
import { plainRedactor } from '../../src/bus/redact.ts'
import { createEvent, type CloudEvent } from '../../src/event.ts'
import { jsonOf } from '../../src/json.ts'
import { Task } from '../../src/tasks/task.ts'
import { TurnBuilder } from '../../src/tasks/turn.ts'
import { bare } from './app.ts'
import { bareProgram, type Program } from './language.ts'
import { tools, type ToolName } from './tools.ts'

/* A program that is restored from its snapshot after each turn, or some, is what it would be had it stayed in memory. */

const correlationid = '01900000-0000-7000-8000-000000000002'

/** What each turn said, and the state after it. */
async function walk({ input, steps }: Program, isRestored: (turn: number) => boolean): Promise<string[]> {
  const start = createEvent({
    id: 'start',
    type: 'agent.invoke',
    target: 'bare',
    correlationid,
    data: jsonOf({ input: { steps: JSON.stringify(steps), value: input } }, 'the start'),
  })
  const { identity } = new Task({ definition: bare.definition, task: `${correlationid}.0000000000`, start })
  let machine = bare.definition.machine(start, plainRedactor)
  const turns: string[] = []
  for (let event: CloudEvent | undefined = start; event; ) {
    const builder = new TurnBuilder({ identity, version: turns.length + 1, inputs: [event], now: turns.length })
    await machine.decide([event], builder)
    machine.accepted(builder.events)
    const snapshot = machine.snapshot()!
    turns.push(JSON.stringify([builder.emits, snapshot]))
    if (isRestored(turns.length)) machine = bare.definition.machine(start, plainRedactor, snapshot)
    const call = builder.events.find(({ type }) => type === 'tool.invoke')
    event = call && (await answered(call))
  }
  return turns
}

async function answered(call: CloudEvent): Promise<CloudEvent> {
  const name = call.target!.replace('value.', '') as ToolName
  const { input } = call.data as { input: unknown }
  try {
    return answerTo(call, '/tools', 'tool.result', jsonOf({ output: await tools[name](structuredClone(input)) }, name))
  } catch {
    return answerTo(call, '/tools', 'tool.failed', { error: { code: 'E_TOOL_OUTPUT' } })
  }
}

it('a program continues with the state of its snapshot', async () => {
  await fc.assert(
    fc.asyncProperty(bareProgram, fc.nat(), async (program, turns) => {
      const whole = await walk(program, () => false)
      expect(await walk(program, () => true)).toEqual(whole)
      expect(await walk(program, turn => ((turns >> turn) & 1) === 1)).toEqual(whole)
    }),
    { numRuns: 200 },
  )
})
