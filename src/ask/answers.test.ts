import { expect, onTestFinished, test, vi } from 'vitest'
import { Bus } from '../bus/bus.ts'
import { taskId } from '../bus/ids.ts'
import { TidingsError } from '../errors.ts'
import { askTarget } from '../tasks/asked.ts'
import { MemoryDriver } from '../testing/memory/driver.ts'
import { MemoryLog } from '../testing/memory/log.ts'
import { Answers } from './answers.ts'

const correlationid = '0199a5ff-0000-7000-8000-000000000000'
const task = taskId(correlationid, 'helper', 'request')

async function asking() {
  const bus = new Bus(new MemoryDriver(new MemoryLog()))
  const answers = new Answers(bus)
  onTestFinished(() => answers.close())
  await bus.publish({
    type: 'agent.invoke',
    id: 'request',
    correlationid,
    target: 'helper',
    replyto: askTarget,
    data: { input: 1 },
  })
  const read = vi.spyOn(bus.driver, 'read').mockImplementation(() => {
    throw new TidingsError('E_LOG_UNAVAILABLE', 'away', { retryable: true })
  })
  return { bus, answers, read }
}

test('the end of a task is found once the log can be read again', async () => {
  const { bus, answers, read } = await asking()
  const end = answers.find(task, 'default')
  await vi.waitUntil(() => read.mock.calls.length > 1)
  read.mockRestore()
  await bus.publish({
    type: 'agent.task.completed',
    id: `${task}:0000001:0`,
    call: 'request',
    correlationid,
    target: askTarget,
    data: { output: 7 },
  })
  expect((await end)?.data).toEqual({ output: 7 })
})

test('a caller that waits for the log stops at its signal, and when the app stops', async () => {
  const { answers } = await asking()
  const late = new AbortController()
  const first = answers.find(task, 'default', late.signal)
  const second = answers.find(task, 'default')
  late.abort(new Error('late'))
  await expect(first).rejects.toThrow('late')
  answers.close()
  await expect(second).rejects.toMatchObject({ code: 'E_BUS_CLOSED' })
})
