import { TidingsError } from '../../../src/errors.ts'

const magics = { gzip: [0x1f, 0x8b], zstd: [0x28, 0xb5, 0x2f, 0xfd] } as const

/** The bytes of a file, decompressed if it begins as a compressed one. @throws TidingsError `E_SLICE_INVALID` */
export async function fileBytes(file: File): Promise<AsyncIterable<Uint8Array>> {
  const head = new Uint8Array(await file.slice(0, 4).arrayBuffer())
  const format = (['gzip', 'zstd'] as const).find(name => magics[name].every((byte, i) => head[i] === byte))
  const stream = file.stream()
  return chunksOf(format ? stream.pipeThrough(decompression(format, file.name)) : stream)
}

function decompression(format: 'gzip' | 'zstd', name: string) {
  try {
    // Few browsers know `zstd`.
    return new DecompressionStream(format as CompressionFormat)
  } catch (error) {
    throw new TidingsError('E_SLICE_INVALID', `${name} is compressed with ${format}, which this browser cannot read`, {
      next: 'Export the slice to a file that ends in .jsonl or .jsonl.gz.',
      cause: error,
    })
  }
}

async function* chunksOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  const reader = stream.getReader()
  try {
    for (;;) {
      const { value, done } = await reader.read()
      if (done) return
      yield value
    }
  } finally {
    void reader.cancel().catch(() => {})
  }
}
