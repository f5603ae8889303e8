import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { onTestFinished } from 'vitest'
import { Bus } from '../../src/bus/bus.ts'
import { CommitFailures } from '../../src/testing/sqlite/commit-failures.ts'
import { openFaultySqlite } from '../../src/testing/sqlite/open-faulty.ts'
import type { CloudEvent } from '../../src/event.ts'
import type { WebhookReceived } from '../../src/received.ts'
import { collect } from '../../src/testing/wait.ts'
import { webhook, type WebhookOptions } from '../../src/triggers/webhook/webhook.ts'

/* Webhooks as others send them: signed by openssl, sent by curl. */

const run = promisify(execFile)

export const secrets = {
  standard: `whsec_${Buffer.from('a key of four and twenty').toString('base64')}`,
  github: 'It is a secret to everybody',
  stripe: 'whsec_anything at all',
}

/** One log with a trigger on it, which may be opened again after `close`. */
export async function openTrigger(options: WebhookOptions, home?: string) {
  const folder = home ?? (await mkdtemp(join(tmpdir(), 'tidings-webhook-')))
  const commits = new CommitFailures()
  const bus = new Bus(await openFaultySqlite({ home: folder }, { commits }))
  const running = await webhook({ port: 0, ...options }).start(bus)
  let isOpen = true
  const close = async () => {
    if (!isOpen) return
    isOpen = false
    await running.stop()
    await bus.driver.close()
  }
  onTestFinished(async () => {
    await close()
    await rm(folder, { recursive: true, force: true })
  })
  const stored = async () => {
    const found = await collect(bus.read({}))
    return Promise.all(found.map(({ event }) => bus.resolve(event) as Promise<CloudEvent<WebhookReceived>>))
  }
  const blob = async (ref: string) => Buffer.from((await bus.driver.blobs!.get('default', ref))!)
  return { bus, running, commits, home: folder, url: running.address, stored, blob, close }
}

export interface Reply {
  status: number
  headers: string
  body: { id?: string; correlationid?: string; duplicate?: boolean; error?: { code: string; message: string } }
}

/** Posts bytes with curl. */
export async function curl(url: string, body: string | Buffer, headers: Record<string, string>, ...more: string[]) {
  const folder = await mkdtemp(join(tmpdir(), 'tidings-curl-'))
  try {
    const file = join(folder, 'body')
    await writeFile(file, body)
    const named = Object.entries({ 'content-type': 'application/json', expect: '', ...headers })
    const args = named.flatMap(([name, value]) => ['-H', `${name}:${value && ' '}${value}`])
    const { stdout } = await run('curl', ['-sS', '-i', '-m', '20', '--data-binary', `@${file}`, ...args, ...more, url])
    return readReply(stdout)
  } finally {
    await rm(folder, { recursive: true })
  }
}

function readReply(stdout: string): Reply {
  const text = stdout.replace(/^HTTP\/1.1 100 .*?\r\n\r\n/s, '')
  const end = text.indexOf('\r\n\r\n')
  const rest = text.slice(end + 4)
  return {
    status: Number(text.split(' ')[1]),
    headers: text.slice(0, end).toLowerCase(),
    body: rest === '' ? {} : (JSON.parse(rest) as Reply['body']),
  }
}

/** `openssl dgst`: the HMAC-SHA256 of bytes. */
async function openssl(key: Buffer, bytes: Buffer): Promise<Buffer> {
  const child = run(
    'openssl',
    ['dgst', '-sha256', '-mac', 'HMAC', '-macopt', `hexkey:${key.toString('hex')}`, '-binary'],
    {
      encoding: 'buffer',
    },
  )
  child.child.stdin!.end(bytes)
  return (await child).stdout
}

export const now = () => Math.floor(Date.now() / 1_000)

interface How {
  id?: string
  /** Seconds since the epoch. */
  at?: number
  secret?: string
}

type Sign = (body: string | Buffer, how?: How) => Promise<Record<string, string>>

/** The headers that a source of each kind sends with a body. */
export const signedBy: Record<'standard' | 'github' | 'stripe', Sign> = {
  async standard(body: string | Buffer, { id = 'msg_1', at = now(), secret = secrets.standard } = {}) {
    const signed = Buffer.concat([Buffer.from(`${id}.${at}.`), Buffer.from(body)])
    const signature = await openssl(Buffer.from(secret.slice(6), 'base64'), signed)
    return { 'webhook-id': id, 'webhook-timestamp': `${at}`, 'webhook-signature': `v1,${signature.toString('base64')}` }
  },
  async github(
    body: string | Buffer,
    { id = '72d3162e-cc78-11e3-81ab-4c9367dc0958', secret = secrets.github }: How = {},
  ) {
    const signature = await openssl(Buffer.from(secret), Buffer.from(body))
    return {
      'x-github-delivery': id,
      'x-github-event': 'push',
      'x-hub-signature-256': `sha256=${signature.toString('hex')}`,
    }
  },
  async stripe(body: string | Buffer, { at = now(), secret = secrets.stripe } = {}) {
    const signature = await openssl(Buffer.from(secret), Buffer.concat([Buffer.from(`${at}.`), Buffer.from(body)]))
    return { 'stripe-signature': `t=${at},v0=${'0'.repeat(64)},v1=${signature.toString('hex')}` }
  },
}
