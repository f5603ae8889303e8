import { TidingsError } from '../errors.ts'
import { readSecret } from './read-secret.ts'

/** A token is asked for again when this share of its time is over, as the client does with a session. */
const renewAfter = 0.8
const timeoutMs = 10_000

/** How tokens for OAUTHBEARER are got: from a file that something else renews, or with the client credentials of OAuth 2. */
export function tokenFrom(
  options: URLSearchParams,
  user: string | undefined,
  password: (() => string) | '' | undefined,
): () => string | Promise<string> {
  const [file, url] = [options.get('token'), options.get('tokenurl')]
  if (file) {
    readSecret('token', file)
    return () => readSecret('token', file).trim()
  }
  if (!url || !user || !password)
    throw new TidingsError(
      'E_SETTING_INVALID',
      'the address of Kafka: sasl=oauthbearer needs token=FILE, or tokenurl=URL with a client id and secret as user and password',
    )
  return clientCredentials(url, user, password, options.get('scope'))
}

interface TokenAnswer {
  readonly access_token?: string
  readonly expires_in?: number
}

function clientCredentials(url: string, id: string, secret: () => string, scope: string | null): () => Promise<string> {
  let kept: { readonly token: Promise<string>; until: number } | undefined
  const ask = async () => {
    const now = performance.now()
    const answer = await fetch(url, {
      method: 'POST',
      headers: {
        authorization: `Basic ${Buffer.from(`${encodeURIComponent(id)}:${encodeURIComponent(secret())}`).toString('base64')}`,
        'content-type': 'application/x-www-form-urlencoded',
      },
      body: new URLSearchParams({ grant_type: 'client_credentials', ...(scope && { scope }) }),
      signal: AbortSignal.timeout(timeoutMs),
    })
    if (!answer.ok) throw new Error(`${url} answers ${answer.status} to the request for a token`)
    const { access_token: token, expires_in: seconds = 0 } = (await answer.json()) as TokenAnswer
    if (!token) throw new Error(`${url} answers without access_token`)
    return { token, until: now + seconds * 1_000 * renewAfter }
  }
  return () => {
    if (kept && kept.until > performance.now()) return kept.token
    const asked = ask()
    // Connections that open at once share one request.
    const current = { token: asked.then(({ token }) => token), until: Infinity }
    kept = current
    asked.then(
      ({ until }) => void (current.until = until),
      () => void (current.until = 0),
    )
    return current.token
  }
}
