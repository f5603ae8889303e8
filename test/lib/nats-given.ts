import { textOf } from '../../src/errors.ts'
import { tooOld } from '../../src/testing/nats/find.ts'
import { natsInfo } from '../../src/testing/nats/info.ts'

export type Given = { readonly url: string; readonly version: string } | { readonly reason: string }

/** The running server that `TIDINGS_NATS_URL` names, in place of one that the tests start; undefined without it. */
export async function givenNats(env: NodeJS.ProcessEnv = process.env): Promise<Given | undefined> {
  const url = env.TIDINGS_NATS_URL
  if (!url) return undefined
  try {
    const { hostname, port } = new URL(url)
    const { version, jetstream } = await natsInfo(hostname, Number(port || 4222))
    const reason = tooOld(version) ?? (jetstream ? undefined : 'it has no JetStream')
    return reason === undefined ? { url, version } : { reason: `TIDINGS_NATS_URL: ${reason}` }
  } catch (error) {
    return { reason: `TIDINGS_NATS_URL: ${textOf(error)}` }
  }
}
