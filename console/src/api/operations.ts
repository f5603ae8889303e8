import { queryOptions, useQuery } from '@tanstack/react-query'
import type { OperationView } from '../../../src/gateway/commands/operations.ts'
import type { OperationCommand } from '../../../src/tasks/operation-request.ts'
import { get, post } from './connection.ts'
import { infoQuery } from './queries.ts'

/* Commands of an operator: docs/http.md. */

export type { OperationCommand, OperationView }
export type OperationAction = OperationCommand['action']

/** All events that say what becomes of an operation. */
export const operationTypes = ['operation.*']
const waitSeconds = 20

/** Gives a command. The same key again does not give it again. @throws ClientError */
export async function giveCommand(command: OperationCommand, key: string): Promise<string> {
  const { operation } = await post<{ operation: string }>('operations', command, { 'idempotency-key': key })
  return operation
}

/** How many tasks, deliveries or events a command is about, while nothing happens yet. @throws ClientError */
export async function countFor(command: OperationCommand, key: string): Promise<number> {
  const view = await post<OperationView>(
    'operations',
    { ...command, dryRun: true },
    { 'idempotency-key': key, prefer: `wait=${waitSeconds}` },
  )
  if (view.result) return view.result.found
  throw new Error(view.error?.message ?? 'No worker has answered yet. Is one running that hosts agents?')
}

export const operationQuery = (id: string) =>
  queryOptions({
    queryKey: ['operation', id],
    queryFn: ({ signal }) => get<OperationView>(`operations/${id}`, undefined, signal),
  })

/** What the person at the console may do. */
export function useMay(right: 'publish' | 'read' | 'approve' | 'operate'): boolean {
  const { data } = useQuery(infoQuery)
  return data?.principal.rights[right] ?? false
}
