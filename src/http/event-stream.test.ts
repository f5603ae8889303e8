import { expect, onTestFinished, test, vi } from 'vitest'
import { eventStreamResponse } from './event-stream.ts'

test('breaks with the next heartbeat once the client may read no more, and stops what makes the frames', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
  onTestFinished(() => void vi.useRealTimers())
  let isRevoked = false
  let stopped: AbortSignal | undefined
  async function* frames(signal: AbortSignal) {
    stopped = signal
    yield 'data: 1\n\n'
    await new Promise(resolve => signal.addEventListener('abort', resolve))
  }
  const { body } = eventStreamResponse(frames, { hasEnded: () => isRevoked })
  const reader = body!.pipeThrough(new TextDecoderStream()).getReader()
  expect((await reader.read()).value).toBe('data: 1\n\n')
  const heartbeat = reader.read()
  await vi.advanceTimersByTimeAsync(15_000)
  expect((await heartbeat).value).toBe(': \n\n')
  isRevoked = true
  const last = reader.read()
  await Promise.all([
    expect(last).rejects.toMatchObject({ code: 'E_CREDENTIAL_UNKNOWN' }),
    vi.advanceTimersByTimeAsync(15_000),
  ])
  expect([stopped!.aborted, vi.getTimerCount()]).toEqual([true, 0])
})
