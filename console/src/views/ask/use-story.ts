import { useEffect, useState } from 'react'
import { follow } from '../../api/streams.ts'
import { Story, type StorySnapshot } from './story.ts'

/** Of a redraw, while events and words arrive. */
const redrawMs = 60

/** The story of a correlation as it goes on: over reloads, interruptions and restarts of the gateway. */
export function useStory(correlation: string): { story: StorySnapshot | undefined; error: unknown } {
  const [shown, setShown] = useState<StorySnapshot>()
  const [error, setError] = useState<unknown>()
  useEffect(() => {
    const stop = new AbortController()
    const story = new Story()
    let timer: ReturnType<typeof setTimeout> | undefined
    setShown(undefined)
    setError(undefined)
    const redraw = () => {
      timer = undefined
      setShown(story.snapshot())
    }
    void (async () => {
      for await (const { event, cursor } of follow({ correlation, signal: stop.signal })) {
        if (cursor === undefined) story.addSignal(event)
        else story.add(event)
        timer ??= setTimeout(redraw, redrawMs)
      }
    })().catch(setError)
    return () => {
      stop.abort()
      clearTimeout(timer)
    }
  }, [correlation])
  return { story: shown, error }
}
