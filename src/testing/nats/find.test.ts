import { mkdir, mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { builtVersion } from './build.ts'
import { findNatsServer } from './find.ts'

/* Scripts stand for the binaries, and for Go. */

let folder: string
let env: NodeJS.ProcessEnv

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tidings-find-'))
  env = { PATH: [join(folder, 'first'), join(folder, 'second')].join(':'), XDG_CACHE_HOME: join(folder, 'cache') }
})

afterEach(() => rm(folder, { recursive: true, force: true }))

async function script(file: string, body: string): Promise<string> {
  const path = join(folder, file)
  await mkdir(dirname(path), { recursive: true })
  await writeFile(path, `#!/bin/sh\n${body}\n`, { mode: 0o755 })
  return path
}

const binary = (file: string, version: string) => script(file, `echo nats-server: v${version}`)
const cached = `cache/tidings/nats-server-${builtVersion}/nats-server`
const find = (build = false) => findNatsServer({ env, build })

const compile = `
[ "$*" = "install github.com/nats-io/nats-server/v2@v${builtVersion}" ] || exit 1
printf '#!/bin/sh\\necho nats-server: v${builtVersion}\\n' > "$GOBIN/nats-server"
/bin/chmod +x "$GOBIN/nats-server"`

test('the variable goes before the PATH, the PATH before the cache', async () => {
  await binary(cached, builtVersion)
  expect(await find()).toMatchObject({ path: join(folder, cached), source: 'cache' })
  const onPath = await binary('second/nats-server', '2.14.1')
  expect(await find()).toEqual({ path: onPath, version: '2.14.1', source: 'PATH', refused: [] })
  env.TIDINGS_NATS_SERVER = await binary('mine', '3.0.0-beta.1')
  expect(await find()).toMatchObject({ source: 'TIDINGS_NATS_SERVER', version: '3.0.0-beta.1' })
})

test('an old one is refused with the reason, and the next is tried', async () => {
  const old = await binary('first/nats-server', '2.9.10')
  await binary('second/nats-server', '2.12.0')
  expect(await find()).toMatchObject({
    version: '2.12.0',
    refused: [`PATH: ${old}: version 2.9.10, and 2.12 or newer is needed`],
  })
  await binary('second/nats-server', '1.99.0')
  expect(await find()).toEqual({ reason: expect.stringMatching(/2\.9\.10.*1\.99\.0.*none was built/) })
})

test('nothing takes the place of what the variable names', async () => {
  await binary('first/nats-server', '2.15.0')
  env.TIDINGS_NATS_SERVER = join(folder, 'not-there')
  expect(await find(true)).toEqual({ reason: expect.stringContaining('not-there does not run') })
  env.TIDINGS_NATS_SERVER = await script('mute', 'echo hello')
  expect(await find(true)).toEqual({ reason: expect.stringContaining('prints no version') })
})

test('what is found nowhere is built, once', async () => {
  await script('first/go', compile)
  const told: string[] = []
  const found = await findNatsServer({ env, onBuild: text => told.push(text) })
  expect(found).toMatchObject({ path: join(folder, cached), version: builtVersion, source: 'built' })
  expect(told).toEqual([expect.stringContaining(`building nats-server ${builtVersion}`)])
  await script('first/go', 'exit 1')
  expect(await find(true)).toMatchObject({ source: 'cache' })
})

test('a broken copy in the cache is replaced', async () => {
  await script('first/go', compile)
  await script(cached, 'exit 1')
  expect(await find(true)).toMatchObject({ source: 'built', refused: [expect.any(String), expect.any(String)] })
})

test('several may build it at once, beside what a build left behind that was killed', async () => {
  await script('first/go', compile)
  const abandoned = join(dirname(join(folder, cached)), 'build-old')
  await mkdir(abandoned, { recursive: true })
  await utimes(abandoned, 0, 0)
  const found = await Promise.all(Array.from({ length: 5 }, () => find(true)))
  for (const each of found) expect(each).toMatchObject({ path: join(folder, cached), version: builtVersion })
  expect(await readdir(dirname(join(folder, cached)))).toEqual(['nats-server'])
})

test('where it cannot be built, the reason says so', async () => {
  expect(await find(true)).toEqual({ reason: expect.stringContaining('Go, which builds it, is not installed') })
  await script('first/go', 'echo "no such host" >&2; exit 1')
  expect(await find(true)).toEqual({ reason: expect.stringContaining('go install failed: no such host') })
  expect(await readdir(dirname(join(folder, cached)))).toEqual([])
})
