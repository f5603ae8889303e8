import { hash } from 'node:crypto'
import type { AwsClient } from 'aws4fetch'
import type { BlobStore } from '../bus/driver.ts'
import { tenantFolder } from '../bus/tenant-folder.ts'
import { TidingsError } from '../errors.ts'
import { describeThrown } from '../thrown.ts'

/** A bucket of S3, or of a store with its interface: MinIO, Ceph, R2, … */
export interface S3Options {
  bucket: string
  /** Before the keys of all blobs: `tidings/`. Default: none. */
  prefix?: string
  /** Of another store than S3, such as `http://minio:9000`. The bucket is then part of the path. */
  endpoint?: string
  /** Default `AWS_REGION`, else `us-east-1`. */
  region?: string
  /** Asked for before each request. Default: `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`. */
  credentials?: () => S3Credentials | Promise<S3Credentials>
}

/** Who asks the store, as AWS names it. `sessionToken`: of credentials that end. */
export interface S3Credentials {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken?: string | undefined
}

const reference = /^sha256-([0-9a-f]{64})$/
const timeoutMs = 60_000
const retries = 4

/**
 * Stores blobs in a bucket of S3, under `PREFIX TENANT/DIGEST`. Nothing is removed: give the bucket a lifecycle rule that is longer than
 * `retention`. A blob that is put again is as new.
 * @throws E_SETTING_INVALID
 * @example
 * const running = await start(shop, { blobs: openS3({ bucket: 'shop-blobs', region: 'eu-central-1' }) })
 * await running.stop()
 */
export function openS3(options: S3Options): BlobStore {
  const { bucket, prefix = '', endpoint, credentials = credentialsFromEnvironment } = options
  const region = options.region ?? process.env.AWS_REGION ?? process.env.AWS_DEFAULT_REGION ?? 'us-east-1'
  if (!/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(bucket))
    throw new TidingsError('E_SETTING_INVALID', `"${bucket.slice(0, 80)}" is not the name of an S3 bucket`)
  const base = endpoint ? `${endpoint.replace(/\/+$/, '')}/${bucket}` : `https://${bucket}.s3.${region}.amazonaws.com`
  const urlOf = (tenant: string, digest: string) =>
    `${base}/${`${prefix}${tenantFolder(tenant)}/${digest}`.split('/').map(encodeURIComponent).join('/')}`
  return {
    async put(tenant, bytes) {
      const digest = hash('sha256', bytes, 'hex')
      // The store checks the digest, so a damaged upload is refused.
      const headers = { 'x-amz-content-sha256': digest, 'content-type': 'application/octet-stream' }
      const request = { method: 'PUT', body: bytes as Uint8Array<ArrayBuffer>, headers }
      await ask('written', credentials, region, urlOf(tenant, digest), request, async response => {
        if (!response.ok) throw await refusal(response)
      })
      return `sha256-${digest}`
    },
    async get(tenant, ref) {
      const digest = reference.exec(ref)?.[1]
      if (digest === undefined) return undefined
      return ask('read', credentials, region, urlOf(tenant, digest), {}, async response => {
        if (response.status === 404) return undefined
        if (!response.ok) throw await refusal(response)
        const bytes = new Uint8Array(await response.arrayBuffer())
        if (hash('sha256', bytes, 'hex') !== digest) throw new Error(`${ref} is damaged`)
        return bytes
      })
    },
  }
}

async function ask<T>(
  action: 'written' | 'read',
  credentials: NonNullable<S3Options['credentials']>,
  region: string,
  url: string,
  init: RequestInit,
  answer: (response: Response) => Promise<T>,
): Promise<T> {
  try {
    const client = await signer(await credentials(), region)
    return await answer(await client.fetch(url, { ...init, signal: AbortSignal.timeout(timeoutMs) }))
  } catch (error) {
    if (error instanceof TidingsError) throw error
    const cause = (error as Error).cause ?? error
    throw new TidingsError('E_LOG_UNAVAILABLE', `a blob could not be ${action}: ${describeThrown(cause)}`, {
      cause: error,
      retryable: true,
    })
  }
}

/** The signing keys of a day are kept over requests. */
const signingKeys = new Map<string, ArrayBuffer>()

async function signer(credentials: S3Credentials, region: string): Promise<AwsClient> {
  const { AwsClient } = await import('aws4fetch')
  const { accessKeyId, secretAccessKey, sessionToken } = credentials
  const session = sessionToken === undefined ? {} : { sessionToken }
  return new AwsClient({ accessKeyId, secretAccessKey, ...session, region, service: 's3', retries, cache: signingKeys })
}

const refusal = async (response: Response) =>
  new Error(
    `the store answers ${response.status}: ${/<Code>(\w+)/.exec(await response.text())?.[1] ?? response.statusText}`,
  )

function credentialsFromEnvironment(): S3Credentials {
  const { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN } = process.env
  if (AWS_ACCESS_KEY_ID && AWS_SECRET_ACCESS_KEY)
    return { accessKeyId: AWS_ACCESS_KEY_ID, secretAccessKey: AWS_SECRET_ACCESS_KEY, sessionToken: AWS_SESSION_TOKEN }
  throw new TidingsError('E_SETTING_INVALID', 'the S3 store needs AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY')
}
