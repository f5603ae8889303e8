import type { Driver } from '../../bus/driver.ts'
import { collect, until } from '../wait.ts'
import { newTask, turn } from './entries.ts'
import { worker, type Member, type MemberOptions, type World } from './world.ts'

/** Wake-ups reach the owner of the shard, a set clock is noticed within a second, and the shard may have to move first. */
export const wakeTimeout = { within: 30_000 }

/**
 * Options of a worker that answers each wake-up with a turn without one, like a task that waits for nothing. `version`: the
 * version of all tasks. Default: looked up.
 */
export const clearing = (driver: Driver, version?: number): MemberOptions => ({
  ...worker,
  onWake: task => void clearWake(driver, task, version).catch(() => {}),
})

async function clearWake(driver: Driver, task: string, version?: number): Promise<void> {
  const turns = async () => (await driver.journal(task)).records.filter(({ type }) => type === 'task.turn').length
  await driver.commit(turn(task, version ?? (await turns())))
}

export async function withWorker(
  world: World,
  options: Partial<MemberOptions> = {},
): Promise<{ driver: Driver; member: Member }> {
  const driver = await world.open()
  return { driver, member: await world.join(driver, { ...clearing(driver), ...options }) }
}

export const woken = (member: Member, task: string) => member.wakes.filter(w => w.task === task)

/** The tasks that have a wake-up. */
export const pendingWakes = async (driver: Driver) =>
  (await collect(driver.missedWakes(Number.MAX_SAFE_INTEGER))).map(({ task }) => task)

/** Waits until a wake-up that is due shortly after the current wall-clock time was served, and so all earlier ones. */
export async function letPass({ clock }: World, driver: Driver, member: Member): Promise<void> {
  const marker = newTask()
  await driver.commit(turn(marker, 0, { wake: clock.now() + 200 }))
  await until(() => woken(member, marker).length > 0, wakeTimeout)
  await until(async () => !(await pendingWakes(driver)).includes(marker), wakeTimeout)
}
