import { randomUUID } from 'node:crypto'
import { expect, test } from 'vitest'
import type { TidingsError } from '../src/errors.ts'
import { driverConformance } from '../src/testing/conformance/index.ts'
import { s3Server } from './lib/s3.ts'
import { openBlobs } from '../src/blobs/open.ts'
import { openS3 } from '../src/blobs/s3.ts'

/* Also run against a real server: `npm run s3-trial`. */

driverConformance('s3', {
  parts: ['BlobStore'],
  async fresh() {
    const { endpoint, bucket, credentials, close } = await s3Server()
    const prefix = `${randomUUID()}/`
    const open = async () => ({
      blobs: openS3({ endpoint, bucket, prefix, credentials: () => credentials }),
      close: async () => {},
    })
    return { open, remove: close }
  },
})

test('a store that refuses or does not answer is an error that may pass', async () => {
  const { endpoint, bucket, credentials, close } = await s3Server()
  const wrong = openS3({ endpoint, bucket, credentials: () => ({ ...credentials, secretAccessKey: 'wrong' }) })
  const codes = await Promise.all(
    [wrong.put('acme', new Uint8Array(3)), wrong.get('acme', `sha256-${'0'.repeat(64)}`)].map(work =>
      work.catch(({ code, retryable, message }: TidingsError) => [
        code,
        retryable,
        / 403: SignatureDoesNotMatch/.test(message),
      ]),
    ),
  )
  await close()
  expect(codes).toEqual(Array(2).fill(['E_LOG_UNAVAILABLE', true, true]))
})

test('an address names bucket, prefix, endpoint and region', async () => {
  for (const address of ['s3:', 's3:///x', 'http://bucket', 'nonsense'])
    expect(() => openBlobs(address)).toThrow('unknown blob store')
  expect(() => openBlobs('s3://Bucket_')).toThrow('not the name of an S3 bucket')
  expect(() => openBlobs('s3://bucket/prefix?endpoint=http://127.0.0.1:9&region=eu-central-1')).not.toThrow()
})
