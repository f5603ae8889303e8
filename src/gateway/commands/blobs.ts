import { Hono } from 'hono'
import { readBody } from '../../http/body.ts'
import { httpError } from '../../http/response.ts'
import type { GatewayDeps, GatewayEnv } from '../context.ts'
import { assertMay } from '../identity/principal.ts'

/** Types of attachments. A browser must not run any of them, so there is no HTML and no SVG. */
const attachmentTypes =
  /^(?:(?:image|audio|video)\/(?!.*svg)[a-z0-9][a-z0-9.+-]{0,63}|text\/(?:plain|csv|markdown)|application\/(?:pdf|json|octet-stream|zip))$/
const maxAttachmentBytes = 16 * 1024 * 1024

/** Attachments: bytes that a request or an answer refers to, stored as blobs of the tenant. */
export function blobRoutes({ bus }: GatewayDeps): Hono<GatewayEnv> {
  return new Hono<GatewayEnv>()
    .post('/blobs', async c => {
      const { principal } = c.var
      assertMay(principal, 'publish', 'agent.invoke')
      const mediaType = mediaTypeOf(c.req.header('content-type'))
      const bytes = await readBody(c.env.incoming, maxAttachmentBytes)
      const stored = await bus.putBlob(principal.tenant, bytes)
      c.header('location', `blobs/${stored.blob}`)
      return c.json({ ...stored, mediaType }, 201)
    })
    .get('/blobs/:reference', async c => {
      const { principal } = c.var
      assertMay(principal, 'read', 'agent.invoke')
      const type = c.req.query('type')
      const bytes = await bus.getBlob(principal.tenant, c.req.param('reference'))
      return c.body(Uint8Array.from(bytes), 200, {
        'content-type': type === undefined ? 'application/octet-stream' : mediaTypeOf(type),
        'content-disposition': 'attachment',
        'x-content-type-options': 'nosniff',
        'cache-control': 'private, max-age=31536000, immutable',
      })
    })
}

/** @throws 415 */
function mediaTypeOf(header: string | undefined): string {
  const type = (header ?? '').split(';')[0]!.trim().toLowerCase()
  if (attachmentTypes.test(type)) return type
  throw httpError(
    415,
    `an attachment of the type ${JSON.stringify(type.slice(0, 80))} is not accepted: send an image, audio, video, plain text, CSV, Markdown, JSON, PDF, ZIP or application/octet-stream`,
  )
}
