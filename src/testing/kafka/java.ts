import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { textOf } from '../../errors.ts'

const oldest = 17

export interface Java {
  readonly path: string
  /** Such as `17.0.15`. */
  readonly version: string
}

/** The Java of `JAVA_HOME`, else that of the PATH. */
export async function findJava(env: NodeJS.ProcessEnv): Promise<Java | { readonly reason: string }> {
  const path = env.JAVA_HOME ? join(env.JAVA_HOME, 'bin', 'java') : 'java'
  try {
    const { stderr } = await promisify(execFile)(path, ['-version'], { env, timeout: 60_000 })
    const [, version] = /version "([^"]+)"/.exec(stderr) ?? []
    if (version === undefined) return { reason: `${path} prints no version` }
    if (Number.parseInt(version, 10) >= oldest) return { path, version }
    return { reason: `Java ${version} is too old: Kafka needs Java ${oldest} or newer` }
  } catch (error) {
    const isMissing = (error as NodeJS.ErrnoException).code === 'ENOENT'
    const why = isMissing ? 'is not installed' : `does not run: ${textOf(error).trim()}`
    return { reason: `${path} ${why}; Kafka needs Java ${oldest} or newer` }
  }
}
