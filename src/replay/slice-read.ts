import { createReadStream } from 'node:fs'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream'
import { createGunzip, createZstdDecompress } from 'node:zlib'
import { TidingsError } from '../errors.ts'
import { sliceLines } from './slice-lines.ts'
import type { SliceLine } from './slice-format.ts'

/** Reads a slice file in bounded memory. @throws E_SLICE_INVALID, E_NOT_FOUND */
export async function* readSlice(path: string): AsyncGenerator<SliceLine> {
  try {
    yield* sliceLines(openSlice(path), path)
  } catch (error) {
    const { cause } = error as { cause?: NodeJS.ErrnoException }
    if (cause?.code !== 'ENOENT') throw error
    throw new TidingsError('E_NOT_FOUND', `no file "${path}"`, { cause })
  }
}

function openSlice(path: string): Readable {
  const file = createReadStream(path)
  if (path.endsWith('.gz')) return pipeline(file, createGunzip(), () => {})
  return path.endsWith('.zst') ? pipeline(file, createZstdDecompress(), () => {}) : file
}
