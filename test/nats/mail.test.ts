import { expect, test } from 'vitest'
import { Bus } from '../../src/bus/bus.ts'
import { freePort } from '../../src/testing/ports.ts'
import { until } from '../../src/testing/wait.ts'
import { smtp } from '../../src/triggers/email/smtp.ts'
import { header, mailsOn, Session } from '../lib/mailbox.ts'
import { describeNatsServer } from '../lib/nats.ts'
import { open, wire, worker } from './lib/broker.ts'

const mail = [
  header + 'Content-Type: multipart/mixed; boundary=b\r\n',
  '--b\r\n',
  'body',
  '--b',
  'Content-Type: application/pdf; name=a.pdf\r\n',
  'pdf',
  '--b--',
].join('\r\n')

describeNatsServer('mail while the broker', () => {
  test('is away or silent is refused with 451, and the retry is stored once', async () => {
    const { direct, proxy, url } = await wire()
    const port = await freePort()
    await worker(url, [smtp({ port })], { only: ['triggers'] })
    const log = await open(direct)
    const deliver = async (what: string) => (await Session.open(port)).deliver(what)
    const taken = async (what: string) => {
      const answers = new Set<string>()
      await until(
        async () => {
          const answer = await deliver(what)
          answers.add(answer.slice(0, 4))
          return answer.startsWith('250 ')
        },
        { within: 20_000 },
      )
      expect([...answers].filter(answer => answer !== '250 ' && answer !== '451 ')).toEqual([])
    }

    proxy.refuse()
    proxy.cut()
    expect(await deliver(mail)).toMatch(/^451 4\.3\.0 E_LOG_UN/)
    await proxy.accept()
    await taken(mail)

    // Held back, it may be stored although nobody heard of it.
    proxy.freeze()
    const other = mail.replace('body', 'another body')
    expect(await deliver(other)).toMatch(/^451 4\.3\.0 E_LOG_UN/)
    proxy.thaw()
    await taken(other)

    const stored = await mailsOn(new Bus(log))
    expect(stored.map(({ data }) => data.text)).toEqual(['body', 'another body'])
    expect(stored.map(({ data }) => data.attachments[0]!.filename)).toEqual(['a.pdf', 'a.pdf'])
  })
})
