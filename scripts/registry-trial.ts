import { execFile, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, rename, rm } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { freePort } from '../src/testing/ports.ts'
import { until } from '../src/testing/wait.ts'

/*
 * Runs the tests of schema registries against a real one, Apicurio from Maven Central (109 MB, once): `npm run registry-trial`. Needs Java 17
 * and Maven. Newer versions of Apicurio need Java 21.
 */

const version = '3.0.9'
const run = promisify(execFile)
const jar = join(await installed(), `apicurio-registry-app-${version}-runner.jar`)
const port = await freePort()
const url = `http://127.0.0.1:${port}/apis/ccompat/v7`
const settings = [`-Dquarkus.http.port=${port}`, '-Dquarkus.http.host=127.0.0.1', '-Dquarkus.log.level=ERROR']
const registry = spawn('java', ['-Xmx384m', ...settings, '-jar', jar], { stdio: ['ignore', 'ignore', 'inherit'] })
try {
  const answers = () =>
    fetch(`${url}/subjects`).then(
      ({ ok }) => ok,
      () => false,
    )
  await until(async () => registry.exitCode !== null || (await answers()), { what: 'the registry', within: 180_000 })
  const tests = spawn('npx', ['vitest', 'run', '--project', 'light', 'test/kafka/registry.test.ts'], {
    stdio: 'inherit',
    env: { ...process.env, TIDINGS_TEST_REGISTRY: url },
  })
  process.exitCode = await new Promise<number>(resolve => tests.once('close', code => resolve(code ?? 1)))
} finally {
  registry.kill()
}

/** The folder of the registry in the cache. */
async function installed(): Promise<string> {
  const folder = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'tidings', `apicurio-${version}`)
  if (existsSync(folder)) return folder
  console.log(`fetching Apicurio ${version} into ${folder}, once …`)
  await mkdir(dirname(folder), { recursive: true })
  const part = `${folder}.part-${process.pid}`
  await mkdir(part)
  try {
    const artifact = `io.apicurio:apicurio-registry-app:${version}:tar.gz:all`
    await run('mvn', ['-B', '-q', 'dependency:copy', `-Dartifact=${artifact}`, `-DoutputDirectory=${part}`], {
      timeout: 900_000,
    })
    await run('tar', ['xzf', join(part, `apicurio-registry-app-${version}-all.tar.gz`), '-C', part])
    await rename(part, folder)
  } finally {
    await rm(part, { recursive: true, force: true })
  }
  return folder
}
