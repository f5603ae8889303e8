import { expect } from 'vitest'
import { beginning } from '../../bus/cursor.ts'
import { until } from '../wait.ts'
import { entry } from './entries.ts'
import type { Cases } from './world.ts'

export const signalChannel: Cases = {
  'a signal reaches oneself and other members once each, and is not kept': async world => {
    const members = [await world.open(), await world.open()]
    const received: string[][] = [[], []]
    for (const [n, member] of members.entries()) member.onSignal(event => received[n]!.push(event.id))
    const warmUp: string[] = []
    await until(() => {
      const { event } = entry({ type: 'model.delta' })
      warmUp.push(event.id)
      members[0]!.sendSignal(event)
      return received.every(ids => ids.length > 0)
    })
    const sent = [0, 1, 0].map(from => ({ from, event: entry({ type: 'model.delta', data: { text: '🙂' } }).event }))
    for (const { from, event } of sent) {
      members[from]!.sendSignal(event)
      await until(() => received.every(ids => ids.includes(event.id)))
    }
    for (const ids of received) {
      expect(ids).toEqual([...new Set(ids)])
      expect(ids.filter(id => !warmUp.includes(id))).toEqual(sent.map(s => s.event.id))
    }
    expect(await members[0]!.head()).toBe(beginning)
    expect(await members[1]!.get(sent[0]!.event.id, sent[0]!.event.correlationid)).toBeUndefined()
  },

  'a signal arrives unchanged, reaches every listener, and none that was removed': async world => {
    const driver = await world.open()
    const received: unknown[] = []
    let quiet = 0
    const off = driver.onSignal(() => quiet++)
    driver.onSignal(event => received.push(event))
    driver.onSignal(event => received.push(event))
    off()
    const { event } = entry({ type: 'tool.progress', data: { done: 0.5, text: '漢字' } })
    driver.sendSignal(event)
    await until(() => received.length === 2)
    expect(received).toEqual([event, event])
    expect(quiet).toBe(0)
  },
}
