import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { answerApproval, type CloudEvent, type RunningApp } from '../../src/index.ts'

/* The documents and checks of the tests. */

/** Writes two documents into a new folder. */
export function writeSample(folder: string): void {
  mkdirSync(folder)
  writeFileSync(
    join(folder, 'lighthouse.md'),
    `# Lighthouse\n\n## Lamp\n\nThe lamp of the lighthouse turns once in thirty seconds. It burns paraffin, which the
keeper carries up\nevery evening.\n\n## Fog\n\nIn fog the keeper sounds the horn of the lighthouse every two minutes:\n
- one long blast\n- two short blasts\n`,
  )
  writeFileSync(join(folder, 'harbour.html'), '<h1>Harbour</h1><p>Boats leave the harbour with the tide at noon.</p>')
}

/** Each quoted line of a report, with the file that its number names. */
export function quotationsIn(report: string): { text: string; file: string }[] {
  const files = new Map([...report.matchAll(/^(\d+)\. `(.+)#\d+`/gm)].map(([, number, file]) => [number!, file!]))
  return [...report.matchAll(/^(.+?) \[(\d+)\]$/gm)].map(([, text, number]) => ({
    text: text!,
    file: files.get(number!)!,
  }))
}

/** The report quotes something, and the named documents contain all of it. */
export function expectQuoted(report: string, folder: string): void {
  const squeeze = (text: string) => text.replace(/\s+/g, ' ')
  const quotations = quotationsIn(report)
  expect(quotations.length, report).toBeGreaterThan(0)
  for (const { text, file } of quotations) expect(squeeze(readFileSync(join(folder, file), 'utf8'))).toContain(text)
}

/** A request to a person. */
export type Asked = CloudEvent<{ hash: string; what: { input: { question: string; draft: string } } }>

/** Answers all requests to a person until the signal aborts; returns the requests. */
export async function answerAll(
  bus: RunningApp['bus'],
  signal: AbortSignal,
  decision: 'grant' | 'deny' = 'grant',
): Promise<Asked[]> {
  const asked: Asked[] = []
  for await (const { event } of bus.follow('0', [{ types: ['approval.requested'] }], signal)) {
    const request = (await bus.resolve(event)) as Asked
    const { id, data } = request
    await answerApproval(bus, { id, decision, hash: data.hash, by: 'ann', source: '/test' })
    asked.push(request)
  }
  return asked
}
