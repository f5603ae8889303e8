import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'

/** The version that is downloaded if no Kafka is found. */
export const downloadedVersion = '4.4.0'

/** Maven writes the jars of a broker into the folder, which appears atomically, also if several processes download at once. */
export async function downloadKafka(version: string, target: string, env: NodeJS.ProcessEnv): Promise<void> {
  await mkdir(dirname(target), { recursive: true })
  const folder = await mkdtemp(`${target}-`)
  try {
    await writeFile(join(folder, 'pom.xml'), project(version))
    await maven(['dependency:copy-dependencies', '-DincludeScope=runtime', '-DoutputDirectory=jars'], folder, env)
    await rename(join(folder, 'jars'), target).catch((error: NodeJS.ErrnoException) => {
      // Another process was faster.
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error
    })
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

const project = (version: string) => `<project>
  <modelVersion>4.0.0</modelVersion><groupId>tidings</groupId><artifactId>kafka</artifactId><version>1</version>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>${version}</version></dependency>
    <dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>1.7.36</version></dependency>
  </dependencies>
</project>
`

async function maven(goals: string[], cwd: string, env: NodeJS.ProcessEnv): Promise<void> {
  // Batch mode, quiet, and a file whose checksum is wrong fails.
  const args = ['-B', '-q', '--strict-checksums', ...goals]
  try {
    await promisify(execFile)('mvn', args, { cwd, env, timeout: 600_000 })
  } catch (error) {
    const { code, stdout, message } = error as NodeJS.ErrnoException & { stdout?: string }
    throw code === 'ENOENT'
      ? new Error('Maven, which downloads it, is not installed', { cause: error })
      : new Error(`mvn failed: ${firstError(stdout) ?? message}`, { cause: error })
  }
}

const firstError = (output = '') => /^\[ERROR\] (.*)/m.exec(output)?.[1]
