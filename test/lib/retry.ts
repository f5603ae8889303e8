import { expect } from 'vitest'
import { z } from 'zod'
import { correlationOf, parseId } from '../../src/bus/ids.ts'
import type { CloudEvent } from '../../src/event.ts'
import type { RunningApp } from '../../src/runtime/start.ts'
import { until } from '../../src/testing/wait.ts'
import { tool } from '../../src/tools/tool.ts'
import { tidings } from './cli.ts'
import { eventsOf, type World } from './world.ts'

const any = z.any()
export const taskOf = (event: CloudEvent) => parseId(event.id)!.task
export const errorOf = (event: CloudEvent) => (event.data as { error: { code: string; message: string } }).error

/** How the task ended, once it has. */
export const endOf = ({ bus }: RunningApp, task: string) =>
  until(
    async () =>
      (await eventsOf({ bus }, correlationOf(task))).find(
        ({ id, type }) => id.startsWith(task) && /^agent\.task\.(completed|failed|cancelled)$/.test(type),
      ),
    { within: 15_000 },
  )

export async function retried(log: World, task: string) {
  const { code, stdout, stderr } = await tidings(log.place, ['retry', task, '--json'])
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  return JSON.parse(stdout) as {
    task: string
    state: string
    retryOf: string
    asked: string[]
    children: string[]
    callersAnswered: number
  }
}

export async function refusal(log: World, task: string) {
  const { code, stderr } = await tidings(log.place, ['retry', task, '--json'])
  expect(code).toBe(1)
  return (JSON.parse(stderr) as { error: { code: string; message: string; next: string } }).error
}

/** A tool that notes the key of each run, and does what it is told. */
export function desk(name: string, options: { atMostOnce?: true } = {}) {
  const runs: { key: string; input: unknown }[] = []
  const does = { now: (): unknown => 'done' }
  const definition = tool(name, {
    description: '',
    input: any,
    ...options,
    run: (input, { idempotencyKey }) => {
      runs.push({ key: idempotencyKey, input })
      return does.now()
    },
  })
  const fails = (message: string) => {
    does.now = () => {
      throw new Error(message)
    }
  }
  const works = (output: unknown = 'done') => {
    does.now = () => output
  }
  return { tool: definition, runs, fails, works }
}
