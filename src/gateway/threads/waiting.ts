import type { Bus } from '../../bus/bus.ts'
import { TidingsError } from '../../errors.ts'
import { findApproval, isOpen } from '../../tasks/approval-find.ts'

/**
 * The approvals among these that people can still answer; none if one has an answer, because the task then goes on. A stream that is read
 * later passes requests that were answered long ago.
 */
export async function openAmong(bus: Bus, approvals: readonly string[]): Promise<string[]> {
  const open: string[] = []
  for (const id of approvals) {
    try {
      const { request, answer, claim } = await findApproval(bus, id)
      if (answer ?? claim) return []
      if (await isOpen(bus, request)) open.push(id)
    } catch (error) {
      if (!(error instanceof TidingsError) || error.code !== 'E_NOT_FOUND') throw error
    }
  }
  return open
}
