import type { Consumer, ConsumerGroups, Subscription } from '../driver.ts'
import type { CopyGuard } from './guard.ts'

/**
 * Joins a group, unless the log is being copied, or was. Looks once more after it has joined, because a copy marks the log before it looks
 * for members: one of the two sees the other. Until then nothing is handed out. @throws E_LOG_MOVED, E_COPY_UNVERIFIED
 */
export async function subscribeUnlessMoved(
  groups: ConsumerGroups,
  guard: CopyGuard,
  subscription: Subscription,
): Promise<Consumer> {
  await guard.check()
  let waiting: (() => void)[] | undefined = []
  const whenJoined = (call: () => void) => (waiting ? void waiting.push(call) : call())
  const consumer = await groups.subscribe({
    ...subscription,
    onDelivery: delivery => whenJoined(() => subscription.onDelivery(delivery)),
    ...(subscription.onWake && { onWake: (task, due) => whenJoined(() => subscription.onWake!(task, due)) }),
    ...(subscription.onLost && { onLost: shard => whenJoined(() => subscription.onLost!(shard)) }),
  })
  try {
    await guard.check()
  } catch (error) {
    await consumer.close()
    throw error
  }
  const first = waiting
  waiting = undefined
  for (const call of first) call()
  return consumer
}
