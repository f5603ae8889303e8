/* Hooks for React 18 and later. */

import { useCallback, useEffect, useRef, useState } from 'react'
import type { StreamPart } from '../ask/parts.ts'
import type { CloudEvent } from '../event.ts'
import type { AskedInput, AskedOutput, ClientAskOptions, GatewayClient } from '../client/client.ts'
import type { ClientError } from '../client/errors.ts'
import type { StreamFilter } from '../client/event-stream.ts'
import { addPart } from '../client/resumed-parts.ts'

/** A task as `useTask` shows it. */
export interface ShownTask<Output = unknown> {
  /** `idle` before the first request. */
  readonly status: 'idle' | 'running' | 'completed' | 'failed' | 'cancelled'
  /** Of the newest request; keep it to show the task again after a reload. */
  readonly id?: string
  /** What has happened so far: the texts of models grow, as `addPart` says. */
  readonly parts: readonly StreamPart[]
  readonly output?: Output
  /** Of a task that failed, or of a request that the gateway refused. */
  readonly error?: ClientError
}

/** What `useTask` returns: the task, and what can be done with it. */
export interface TaskControls<Output = unknown, Input = unknown> extends ShownTask<Output> {
  /** Asks, and shows the new task in place of the one before, which goes on. */
  readonly ask: (input: Input, options?: ClientAskOptions) => Promise<void>
  /** Cancels the task that is shown. */
  readonly cancel: (reason?: string) => Promise<void>
  /** Sends a further message to the task that is shown. */
  readonly say: (message: unknown) => Promise<void>
}

const idle = { status: 'idle', parts: [] } as const

/**
 * Asks an agent or workflow, and shows what the task does. `task`: the id of an earlier task to show, as after a reload. The task goes
 * on when the component is gone. `Asked`: the type of the agent or of its output.
 * @example
 * import { useTask } from 'tidings/react'
 *
 * function Answer() {
 *   const { ask, parts, status } = useTask(browser, 'helper')
 *   return { ask, status, text: parts.map(part => (part.type === 'text' ? part.text : '')).join('') }
 * }
 */
export function useTask<Asked = unknown>(
  client: GatewayClient,
  agent: string,
  task?: string,
): TaskControls<AskedOutput<Asked>, AskedInput<Asked>> {
  type Output = AskedOutput<Asked>
  const [shown, setShown] = useState<ShownTask<Output>>(idle)
  const reading = useRef<AbortController>(undefined)
  /** What is read; undefined if nothing is, as before the first request. */
  const read = useRef<string>(undefined)

  const show = useCallback(
    async (request: (signal: AbortSignal) => Promise<string>) => {
      reading.current?.abort()
      const { signal } = (reading.current = new AbortController())
      let current: ShownTask<Output> = { status: 'running', parts: [] }
      const change = (more: Partial<ShownTask<Output>>) => {
        if (!signal.aborted) setShown((current = { ...current, ...more }))
      }
      change({})
      try {
        const id = await request(signal)
        if (!signal.aborted) read.current = id
        change({ id })
        const remote = client.task<Output>(id)
        for await (const part of remote.stream({ signal })) change({ parts: addPart(current.parts, part) })
        if (!signal.aborted) change({ status: 'completed', output: await remote.result({ signal }) })
      } catch (error) {
        const status = (error as ClientError).code === 'E_TASK_CANCELLED' ? 'cancelled' : 'failed'
        change({ status, error: error as ClientError })
      }
    },
    [client],
  )
  const stop = useCallback(() => {
    reading.current?.abort()
    read.current = undefined
  }, [])
  useEffect(() => stop, [show, stop])
  useEffect(() => {
    // A component that keeps the id of its task passes it back.
    if (task !== undefined && task !== read.current) void show(async () => task)
  }, [show, task])

  const { id } = shown
  const ask = useCallback(
    (input: AskedInput<Asked>, options: ClientAskOptions = {}) =>
      show(async signal => (await client.ask<Asked>(agent, input, { signal, ...options })).id),
    [client, agent, show],
  )
  const cancel = useCallback(async (reason?: string) => id && client.task(id).cancel(reason), [client, id])
  const say = useCallback(async (message: unknown) => id && client.task(id).say(message), [client, id])
  return { ...shown, ask, cancel, say } as TaskControls<Output, AskedInput<Asked>>
}

/** What `useEvents` returns. */
export interface ShownEvents {
  /** The newest ones, in the order of the log. */
  readonly events: readonly CloudEvent[]
  /** Why the stream ended, such as E_CURSOR_EXPIRED. */
  readonly error?: ClientError
}

/**
 * Shows events as they happen; signals are left out. A change of the filter begins again. `max`: how many to keep, default 100.
 * @example
 * import { useEvents } from 'tidings/react'
 *
 * function Orders() {
 *   const { events } = useEvents(browser, { type: 'order.*', after: '0' })
 *   return events.map(({ subject }) => subject)
 * }
 */
export function useEvents(client: GatewayClient, filter: Omit<StreamFilter, 'signal'> = {}, max = 100): ShownEvents {
  const [shown, setShown] = useState<ShownEvents>({ events: [] })
  const key = JSON.stringify(filter)
  useEffect(() => {
    const reading = new AbortController()
    const { signal } = reading
    setShown({ events: [] })
    const read = async () => {
      for await (const { event, cursor } of client.stream({ ...(JSON.parse(key) as StreamFilter), signal }))
        if (cursor !== undefined && !signal.aborted)
          setShown(({ events }) => ({ events: [...events, event].slice(-max) }))
    }
    read().catch(error => {
      if (!signal.aborted) setShown(({ events }) => ({ events, error: error as ClientError }))
    })
    return () => reading.abort()
  }, [client, key, max])
  return shown
}
