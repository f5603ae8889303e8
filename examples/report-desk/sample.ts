import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { answerApproval, type CloudEvent, type RunningApp } from '../../src/index.ts'

/* What the tests ask the desk about, and how they check what it quotes. */

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

/** Each quoted line of a report with the file that its number names. */
export function quotationsIn(report: string): { text: string; file: string }[] {
  const files = new Map([...report.matchAll(/^(\d+)\. `(.+)#\d+`/gm)].map(([, number, file]) => [number!, file!]))
  return [...report.matchAll(/^(.+?) \[(\d+)\]$/gm)].map(([, text, number]) => ({
    text: text!,
    file: files.get(number!)!,
  }))
}

/** Something is quoted, and all of it stands in the document that is named. */
export function expectQuoted(report: string, folder: string): void {
  const squeeze = (text: string) => text.replace(/\s+/g, ' ')
  const quotations = quotationsIn(report)
  expect(quotations.length, report).toBeGreaterThan(0)
  for (const { text, file } of quotations) expect(squeeze(readFileSync(join(folder, file), 'utf8'))).toContain(text)
}

/** What a person was asked. */
export type Asked = CloudEvent<{ hash: string; what: { input: { question: string; draft: string } } }>

/** Answers whatever a person is asked, until the signal aborts; then it gives what was asked. */
export async function answerAll(
  bus: RunningApp['bus'],
  signal: AbortSignal,
  decision: 'grant' | 'deny' = 'grant',
): Promise<Asked[]> {
  const asked: Asked[] = []
  for await (const { event } of bus.follow(0, [{ types: ['approval.requested'] }], signal)) {
    const request = (await bus.resolve(event)) as Asked
    const { id, data } = request
    await answerApproval(bus, { id, decision, hash: data.hash, by: 'ann', source: '/test' })
    asked.push(request)
  }
  return asked
}
