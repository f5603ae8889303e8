import { useQueryClient } from '@tanstack/react-query'
import { useEffect } from 'react'
import { follow } from './streams.ts'

const pauseMs = 400

/**
 * Repeats a query whenever events of these types happen, at most every 400 ms: lists stay current without polling.
 * @param key of the query
 */
export function useRefetchOn(key: readonly unknown[], types: readonly string[]): void {
  const client = useQueryClient()
  const [keyText, typesText] = [JSON.stringify(key), types.join(' ')]
  useEffect(() => {
    if (typesText === '') return
    const stop = new AbortController()
    let timer: ReturnType<typeof setTimeout> | undefined
    const refetch = () => {
      timer = undefined
      void client.invalidateQueries({ queryKey: JSON.parse(keyText) as unknown[] })
    }
    const refetchSoon = () => {
      timer ??= setTimeout(refetch, pauseMs)
    }
    void (async () => {
      // Once when the stream opens: something may have happened between the query and that.
      for await (const _ of follow({ type: typesText.split(' '), rows: '1', signal: stop.signal }, refetchSoon))
        refetchSoon()
    })().catch(() => {
      // The query itself shows what is wrong.
    })
    return () => {
      stop.abort()
      clearTimeout(timer)
    }
  }, [client, keyText, typesText])
}
