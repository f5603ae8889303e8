import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { downloadedVersion } from './download.ts'
import { findKafka } from './find.ts'

/* Scripts stand for Java and Maven, empty files for jars. */

let folder: string
let env: NodeJS.ProcessEnv

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tidings-find-kafka-'))
  env = { PATH: join(folder, 'bin'), XDG_CACHE_HOME: join(folder, 'cache') }
  await java('17.0.15')
})

afterEach(() => rm(folder, { recursive: true, force: true }))

async function file(name: string, text = ''): Promise<string> {
  const path = join(folder, name)
  await mkdir(dirname(path), { recursive: true })
  await writeFile(path, text, { mode: 0o755 })
  return path
}

const java = (version: string) => file('bin/java', `#!/bin/sh\necho 'openjdk version "${version}" 2025-04-15' >&2\n`)
const maven = (body: string) => file('bin/mvn', `#!/bin/sh\n${body}\n`)
const jars = async (name: string, version: string) => dirname(await file(join(name, `kafka_2.13-${version}.jar`)))

const cached = `cache/tidings/kafka-${downloadedVersion}`
const download = `/bin/grep -q '<version>${downloadedVersion}</version>' pom.xml || exit 1
case "$*" in *--strict-checksums*) ;; *) exit 1;; esac
/bin/mkdir jars && : > jars/kafka_2.13-${downloadedVersion}.jar`
const find = (options: { download?: boolean; version?: string } = { download: false }) => findKafka({ env, ...options })

test('the variable goes before the PATH, the PATH before the cache', async () => {
  await jars(cached, downloadedVersion)
  expect(await find()).toMatchObject({ path: join(folder, cached), source: 'cache', javaVersion: '17.0.15' })
  const libs = await jars('opt/kafka_2.13-4.1.2/libs', '4.1.2')
  await symlink(await file('opt/kafka_2.13-4.1.2/bin/kafka-server-start.sh'), join(folder, 'bin/kafka-server-start.sh'))
  expect(await find()).toMatchObject({ path: libs, version: '4.1.2', source: 'PATH', refused: [] })
  env.TIDINGS_KAFKA_SERVER = await jars('mine', '4.3.1')
  expect(await find()).toMatchObject({ path: join(folder, 'mine'), version: '4.3.1', source: 'TIDINGS_KAFKA_SERVER' })
})

test('an old one is refused with the reason, and nothing takes the place of what the variable names', async () => {
  await jars(cached, downloadedVersion)
  env.TIDINGS_KAFKA_SERVER = await jars('old', '3.9.1')
  expect(await find()).toEqual({ reason: expect.stringContaining('version 3.9.1, and 4.0 or newer is needed') })
  env.TIDINGS_KAFKA_SERVER = join(folder, 'not-there')
  expect(await find()).toEqual({ reason: expect.stringMatching(/no jars of Kafka in .*not-there/) })
})

test('it needs a Java that is new enough', async () => {
  await jars(cached, downloadedVersion)
  await java('11.0.2')
  expect(await find()).toEqual({ reason: 'Java 11.0.2 is too old: Kafka needs Java 17 or newer' })
  await rm(join(folder, 'bin/java'))
  expect(await find()).toEqual({ reason: 'java is not installed; Kafka needs Java 17 or newer' })
})

test('what is found nowhere is downloaded, once, also by several at once', async () => {
  await maven(download)
  const found = await Promise.all(Array.from({ length: 3 }, () => find({ download: true })))
  for (const each of found) expect(each).toMatchObject({ path: join(folder, cached), version: downloadedVersion })
  expect(await readdir(dirname(join(folder, cached)))).toEqual([`kafka-${downloadedVersion}`])
  await maven('exit 1')
  expect(await find({ download: true })).toMatchObject({ source: 'cache' })
})

test('where it cannot be downloaded, the reason says so', async () => {
  expect(await find({ download: true })).toEqual({
    reason: expect.stringContaining('Maven, which downloads it, is not'),
  })
  await maven('echo "[ERROR] no such artifact"; exit 1')
  expect(await find({ download: true })).toEqual({ reason: expect.stringContaining('mvn failed: no such artifact') })
  expect(await readdir(dirname(join(folder, cached)))).toEqual([])
})
