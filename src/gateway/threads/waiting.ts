import type { Bus } from '../../bus/bus.ts'
import { correlationOf, resultId } from '../../bus/ids.ts'
import { TidingsError } from '../../errors.ts'
import { findApproval, isOpen } from '../../tasks/approval-find.ts'
import type { OpenWork } from './open-work.ts'

/**
 * The approvals and calls of the user interface among these that can still be answered; none if one has an answer, because the task then goes
 * on. A stream that is read later passes requests that were answered long ago.
 */
export async function openAmong(bus: Bus, work: OpenWork): Promise<string[]> {
  const open: string[] = []
  for (const id of work.waitsFor) {
    if (!work.isApproval(id)) {
      if (await bus.get(resultId(id), correlationOf(id))) return []
      if (!(await bus.isCallSettled(id))) open.push(id)
      continue
    }
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
