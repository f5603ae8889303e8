import { join } from 'node:path'
import { build, type Rolldown } from 'vite'

const root = join(import.meta.dirname, '../..')

/** The client as it is bundled for browsers, which is all of it. */
export async function bundledClient(): Promise<Rolldown.OutputChunk> {
  const lib = { entry: join(root, 'src/client/index.ts'), formats: ['es' as const], fileName: 'client' }
  const built = await build({ configFile: false, logLevel: 'error', root, build: { write: false, minify: true, lib } })
  const [{ output }] = built as Rolldown.RolldownOutput[] as [Rolldown.RolldownOutput]
  if (output.length > 1) throw new Error(`the client is bundled into ${output.length} files`)
  return output[0]
}
