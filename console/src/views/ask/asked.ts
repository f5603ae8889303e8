import { useSyncExternalStore } from 'react'
import { gatewayUrl, post } from '../../api/connection.ts'
import type { Target } from './targets.ts'
import { oneLine } from './words.ts'

/** A question of this browser. */
export interface Asked {
  readonly correlation: string
  readonly text: string
  readonly target: string
  readonly at: number
}

const key = `tidings.asked ${gatewayUrl.pathname}`
const maxKept = 50
const listeners = new Set<() => void>()
let asked: readonly Asked[] = read()

function read(): readonly Asked[] {
  try {
    return JSON.parse(localStorage.getItem(key) ?? '[]') as Asked[]
  } catch {
    return []
  }
}

function change(changed: readonly Asked[]): void {
  asked = changed.slice(0, maxKept)
  localStorage.setItem(key, JSON.stringify(asked))
  for (const listener of listeners) listener()
}

addEventListener('storage', event => {
  if (event.key !== key) return
  asked = read()
  for (const listener of listeners) listener()
})

/** Questions of this browser, newest first. */
export const useAsked = (): readonly Asked[] =>
  useSyncExternalStore(
    listener => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    () => asked,
  )

export const forget = (correlation: string): void => change(asked.filter(each => each.correlation !== correlation))

/** Asks. Resolves with the correlation when the question is stored. `once`: a second request with this key is the same question. @throws ClientError */
export async function ask(
  { kind, name, key: target, textField }: Target,
  given: unknown,
  once: string,
): Promise<string> {
  const isText = typeof given === 'string'
  const input = isText && textField !== undefined ? { [textField]: given } : given
  const headers = { 'idempotency-key': once }
  const { correlationid } =
    kind === 'agent'
      ? await post<{ correlationid: string }>(`agents/${encodeURIComponent(name)}`, { input }, headers)
      : await post<{ correlationid: string }>('events', { type: name, data: input }, headers)
  const text = oneLine(isText ? given : JSON.stringify(given))
  change([{ correlation: correlationid, text, target, at: Date.now() }, ...asked])
  return correlationid
}
