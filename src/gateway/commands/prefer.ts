import { TidingsError } from '../../errors.ts'

const maxWaitSeconds = 60

/** Seconds that a client wants to wait for the result, at most 60, which `wait` alone means; undefined if it does not. Source: RFC 7240, 4.3. @throws E_REQUEST_INVALID */
export function waitOf(prefer: string | undefined): number | undefined {
  const wait = (prefer ?? '')
    .split(',')
    .map(each => each.trim())
    .find(each => /^wait\b/i.test(each))
  if (wait === undefined) return undefined
  const [isValid, seconds = maxWaitSeconds] = /^wait(?:\s*=\s*"?(\d{1,5})"?)?$/i.exec(wait) ?? []
  if (isValid !== undefined) return Math.min(Number(seconds), maxWaitSeconds)
  throw new TidingsError('E_REQUEST_INVALID', 'the header Prefer must be wait=N, with N in seconds')
}
