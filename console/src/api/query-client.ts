import { QueryClient } from '@tanstack/react-query'
import { ClientError } from '../../../src/client/errors.ts'
import { infoQuery } from './queries.ts'

/** What the gateway refuses, it would refuse again. */
const isRefusal = (error: Error) => error instanceof ClientError && error.status !== undefined

/** The queries of this page. */
export const queries = new QueryClient({
  defaultOptions: {
    queries: {
      retry: (count, error) => !isRefusal(error) && count < 20,
      retryDelay: count => Math.min(500 * 2 ** count, 5_000),
      refetchOnWindowFocus: true,
      staleTime: 2_000,
    },
  },
})

/** Whether requests to this gateway need a credential. @throws ClientError if it refuses this person */
export async function needsCredential(): Promise<boolean> {
  const { identity } = await queries.ensureQueryData({ ...infoQuery, retry: (_, error) => !isRefusal(error) })
  return identity
}
