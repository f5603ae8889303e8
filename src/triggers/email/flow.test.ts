import { setImmediate as turn } from 'node:timers/promises'
import fc from 'fast-check'
import { expect, onTestFinished, test, vi } from 'vitest'
import { header, openMailbox } from '../../../test/lib/mailbox.ts'
import { until } from '../../testing/wait.ts'

/** What other servers take for the end of a mail, or pass on as it. */
const falseEnds = [
  '\n.\n', '\r.\r', '\n.\r\n', '\r\n.\n', '\r\n.\r', '\r.\r\n', '\r.\n', '\n.\r', '\n\n.\n\n', '\r\n\0.\r\n', '\r\n.\0\r\n',
  '\0\n.\r\n', '\r\n.\r\r\n', '\n\r.\n\r',
] // biome-ignore format: one list

test('a mail within a mail stays within it, whatever ends it for other servers', async () => {
  const { talk, stored } = await openMailbox()
  const second = `MAIL FROM:<eve@example.org>\r\nRCPT TO:<desk@example.net>\r\nDATA\r\nFrom: eve@example.org\r\n\r\nsmuggled`
  const session = await talk()
  for (const end of falseEnds) {
    await session.begin()
    // One reply to all of it, and then one to what comes after.
    session.write(`${header}\r\nbody${end}${second}\r\n.\r\n`)
    expect([end, await session.reply()]).toEqual([end, expect.stringMatching(/^554 .*E_MAIL_REFUSED .*(bare|NUL)/)])
    expect(await session.say('NOOP')).toMatch(/^250 /)
  }
  expect(await stored()).toEqual([])
})

test('a false end stays none when it comes in pieces, and right after DATA', async () => {
  const { talk, stored } = await openMailbox()
  const session = await talk()
  for (const pieces of [
    ['\r\n.', '\n'],
    ['\r', '\n.\r', 'x\r\n'],
    ['\n', '.', '\n'],
  ]) {
    await session.begin()
    session.write(`${header}\r\nbody`)
    for (const piece of pieces) {
      await turn()
      session.write(piece)
    }
    expect(await session.say('MAIL FROM:<eve@example.org>\r\n.')).toMatch(/^554 /)
  }
  await session.begin()
  expect(await session.say('.')).toMatch(/^554 .*header/)
  expect(await session.say('NOOP')).toMatch(/^250 /)
  expect(await stored()).toEqual([])
})

test('lines that begin with dots arrive as they are, in whatever pieces they come', async () => {
  const { talk, stored } = await openMailbox()
  const session = await talk()
  const line = fc.array(fc.constantFrom('.', '..', 'a', '\t'), { maxLength: 3 }).map(some => some.join(''))
  let mails = 0
  await fc.assert(
    fc.asyncProperty(fc.array(line, { minLength: 1, maxLength: 12 }), fc.array(fc.nat(9)), async (lines, sizes) => {
      const text = lines.map(one => `${one}\r\n`).join('')
      const mail = `From: ann@example.org\r\nSubject: ${mails}\r\n\r\n${text}`
      const stuffed = `${mail.replaceAll(/^\./gm, '..')}.\r\n`
      await session.begin()
      let at = 0
      for (const size of sizes) {
        session.write(stuffed.slice(at, at + size + 1))
        at += size + 1
        await turn()
      }
      session.write(stuffed.slice(at) || '')
      expect(await session.reply()).toMatch(/^250 /)
      mails++
      expect((await stored()).at(-1)!.data.text).toBe(text.replaceAll('\r\n', '\n'))
    }),
    { numRuns: 25 },
  )
  expect(await stored()).toHaveLength(mails)
})

test('what would not fit beside the mails under way is refused with 452, and taken when they are done', async () => {
  const { talk, stored } = await openMailbox({ maxBytes: 20_000, maxBytesAtOnce: 30_000 })
  const [first, second] = [await talk(), await talk()]
  await first.begin()
  first.write(`${header}\r\n${'first\r\n'.repeat(2_000)}`)
  await second.say('EHLO test')
  const declared = 'MAIL FROM:<ann@example.org> SIZE=15000'
  const reply = await until(async () => {
    await second.say('RSET')
    const said = await second.say(declared)
    return said.startsWith('4') && said
  })
  expect(reply).toMatch(/^452 4\.\d\.\d E_BUSY /)
  // Undeclared, it is found out by what comes.
  const large = `${header}\r\n${'second\r\n'.repeat(1_500)}`
  expect(await second.deliver(large)).toMatch(/^452 4\.\d\.\d E_BUSY /)
  expect(await first.say('.')).toMatch(/^250 /)
  expect(await second.deliver(large)).toMatch(/^250 /)
  expect((await stored()).map(({ data }) => data.text.slice(0, 5))).toEqual(['first', 'secon'])
})

test('a mail that does not end is ended, by its size and by the time that it takes', async () => {
  const { talk, stored } = await openMailbox({ maxBytes: 10_000 })
  const endless = await talk()
  await endless.begin()
  let heard: string | undefined
  void endless.reply().then(reply => (heard = reply))
  for (let sent = 0; heard === undefined && sent < 5_000; sent++) {
    endless.write(`${'YWFh'.repeat(18)}\r\n`)
    await turn()
  }
  await until(() => heard)
  expect(heard).toMatch(/^421 .*too long or is too large/)

  const slow = await talk()
  await slow.say('EHLO test')
  await slow.say('MAIL FROM:<ann@example.org>')
  await slow.say('RCPT TO:<desk@example.net>')
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  onTestFinished(() => void vi.useRealTimers())
  expect(await slow.say('DATA')).toMatch(/^354 /)
  slow.write(`${header}\r\nbod`)
  vi.advanceTimersByTime(10 * 60_000)
  expect(await slow.reply()).toMatch(/^421 .*too long or is too large/)
  vi.useRealTimers()
  expect(await (await talk()).deliver(`${header}\r\nbody`)).toMatch(/^250 /)
  expect(await stored()).toHaveLength(1)
})

test('stop lets a mail under way end, and begins none', async () => {
  const { talk, stored, running } = await openMailbox()
  const [underWay, late] = [await talk(), await talk()]
  await late.say('EHLO test')
  await underWay.begin()
  underWay.write(header)
  const stopped = running.stop()
  expect(await late.say('MAIL FROM:<ann@example.org>')).toMatch(/^421 .*E_BUSY /)
  expect(await underWay.say('\r\nbody\r\n.')).toMatch(/^250 /)
  await stopped
  expect(await stored()).toHaveLength(1)
})
