import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { startNats } from '../../src/testing/nats/start.ts'
import { canaries, findCanaries, places, type Place } from '../lib/canaries.ts'
import { describeNatsServer } from '../lib/nats.ts'
import { Sweep, type Seen } from '../lib/sweep.ts'

/*
 * Every door of an app in processes of its own says canaries. Then every byte of its home folder, of the store of the NATS server,
 * of logs, spans, metrics, streams, answers, errors and an export is searched for them. With redaction switched off the same
 * search finds them, or it would show nothing.
 */

async function everyFile(folder: string): Promise<string> {
  const files = (await readdir(folder, { recursive: true, withFileTypes: true })).filter(file => file.isFile())
  const names = files.map(({ name }) => name).join('\n')
  return names + (await Promise.all(files.map(file => readFile(join(file.parentPath, file.name), 'latin1')))).join('\n')
}

async function temporary(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'tidings-sweep-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  return folder
}

async function onSqlite(isOn: boolean): Promise<Seen> {
  const home = await temporary()
  const sweep = new Sweep(home, 'sqlite', isOn)
  onTestFinished(() => sweep.kill())
  return { ...(await sweep.run()), disk: await everyFile(home) }
}

async function onNats(isOn: boolean): Promise<Seen> {
  const [home, dataDir] = [await temporary(), await temporary()]
  const nats = await startNats({ dataDir, auth: { user: 'tidings', password: canaries.busPassword.text } })
  onTestFinished(() => nats.stop())
  const sweep = new Sweep(home, `${nats.url.replace('//', `//tidings:${canaries.busPassword.text}@`)}/sweep`, isOn)
  onTestFinished(() => sweep.kill())
  const seen = await sweep.run()
  await nats.stop()
  // Beside them lies the configuration of the server, which has its password.
  const [store, log] = [everyFile(join(dataDir, 'jetstream')), readFile(join(dataDir, 'nats.log'), 'latin1')]
  return { ...seen, disk: `${await everyFile(home)}\n${await store}\n${await log}` }
}

/** What docs/redaction.md says is not covered: what is encoded, and what the code of the app prints. */
const open = /: (httpBase64|agentConsole)$/
const leaks = (seen: Seen) => findCanaries(seen).filter(found => !open.test(found))

/** These are not found with redaction switched off either. */
const unseen: readonly Place[] = [
  // Commands know no app: what is known by its shape they redact in any case.
  'cliData', 'cliId', 'cliType', 'cliTarget', 'cliPause', 'cliReason', 'cliComment', 'cliCorrelation', 'cliTrace', 'cliFind',
  // Nothing keeps them, and no answer quotes them.
  'busPassword', 'hookQuery', 'hookRefused', 'httpTrace', 'httpLast', 'httpApproval', 'httpComment', 'httpStream', 'httpMalformed',
  // Cut into encoded words.
  'mailHeader',
] // biome-ignore format: by reason

test('there are 60 canaries and more, each at a place of its own', () => {
  expect(places.length).toBeGreaterThanOrEqual(60)
  expect(new Set(places.flatMap(place => canaries[place].clear)).size).toBeGreaterThanOrEqual(places.length)
})

describe('on sqlite', () => {
  test('no canary is found anywhere', async () => {
    const [on, off] = await Promise.all([onSqlite(true), onSqlite(false)])
    expect(leaks(on)).toEqual([])
    expect(on.deltas).toContain('It is: [redacted anthropic-key] and no more.')

    // What the search is worth: without redaction it finds them.
    const clear = findCanaries(off)
    expect(
      places.filter(place => !unseen.includes(place) && !clear.some(found => found.endsWith(`: ${place}`))),
    ).toEqual([])
  }, 180_000)
})
describeNatsServer('on nats', () => {
  test('no canary is found anywhere', async () => {
    expect(leaks(await onNats(true))).toEqual([])
  }, 180_000)
})
