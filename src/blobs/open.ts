import type { BlobStore } from '../bus/driver.ts'
import { TidingsError } from '../errors.ts'
import { openS3 } from './s3.ts'

/**
 * Opens the blob store at an address: `s3://BUCKET/PREFIX?endpoint=URL&region=NAME`.
 * @throws E_SETTING_INVALID
 */
export function openBlobs(address: string): BlobStore {
  const url = URL.parse(address)
  if (url?.protocol !== 's3:' || !url.hostname)
    throw new TidingsError(
      'E_SETTING_INVALID',
      `unknown blob store "${address.slice(0, 200)}": expected s3://BUCKET/PREFIX?endpoint=URL&region=NAME`,
    )
  const prefix = decodeURIComponent(url.pathname).replace(/^\/+|\/+$/g, '')
  const [endpoint, region] = [url.searchParams.get('endpoint'), url.searchParams.get('region')]
  return openS3({
    bucket: url.hostname,
    ...(prefix && { prefix: `${prefix}/` }),
    ...(endpoint && { endpoint }),
    ...(region && { region }),
  })
}
