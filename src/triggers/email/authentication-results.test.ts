import fc from 'fast-check'
import { expect, test } from 'vitest'
import { applyRelayTrust, parseAuthenticationResults, relayTrust } from './authentication-results.ts'

const value =
  'mx.example.net (a comment; spf=fail) 1; spf=pass (sender is "known") smtp.mailfrom=example.org;\tdkim=FAIL' +
  ' reason="bad; signature" header.d=example.org header.b=ab/cd= ; dmarc/1=none header.from=example.org'

test('each finding, with what it is about', () => {
  expect(parseAuthenticationResults(value)).toEqual({
    authservId: 'mx.example.net',
    results: [
      {
        authservId: 'mx.example.net',
        method: 'spf',
        result: 'pass',
        properties: { 'smtp.mailfrom': 'example.org' },
      },
      {
        authservId: 'mx.example.net',
        method: 'dkim',
        result: 'fail',
        reason: 'bad; signature',
        properties: { 'header.d': 'example.org', 'header.b': 'ab/cd=' },
      },
      { authservId: 'mx.example.net', method: 'dmarc', result: 'none', properties: { 'header.from': 'example.org' } },
    ],
  })
  expect(parseAuthenticationResults('mx.example.net; none')).toEqual({ authservId: 'mx.example.net', results: [] })
})

test('a field of an untrusted relay does not count as one of a trusted relay', () => {
  const fields = [
    { name: 'authentication-results', value },
    { name: 'authentication-results', value: 'elsewhere.example; dkim=pass' },
    { name: 'subject', value: 'hello' },
  ]
  const trusts = relayTrust([
    { authservId: 'MX.example.net', addresses: ['10.0.0.5', '192.168.0.0/16', '2001:db8::/32'] },
  ])
  const names = (address: string) => applyRelayTrust(fields, id => trusts(address, id)).headers.map(({ name }) => name)
  const believed = ['authentication-results', 'untrusted-authentication-results', 'subject']
  for (const address of ['10.0.0.5', '192.168.3.4', '2001:db8::9']) expect(names(address)).toEqual(believed)
  for (const address of ['10.0.0.6', '203.0.113.1', '::1', '']) {
    expect(names(address)).toEqual(['untrusted-authentication-results', ...believed.slice(1)])
    expect(applyRelayTrust(fields, id => trusts(address, id)).authentication).toEqual([])
  }
  expect(applyRelayTrust(fields, id => trusts('10.0.0.5', id)).authentication.map(({ method }) => method)).toEqual([
    'spf',
    'dkim',
    'dmarc',
  ])
})

test('a name that a relay may not read as its own is not believed', () => {
  const forged = [
    'mail.\u212ax.example',
    'mail.kx.example\u00a0x',
    'mail.k(c)x.example',
    'mail."kx".example',
    '"mail.kx.example"',
    '(c) mail.kx.example',
    '=?utf-8?Q?mail.kx.example?=',
    '',
  ]
  for (const id of forged)
    expect([id, parseAuthenticationResults(`${id}; spf=pass`).authservId]).not.toEqual([id, 'mail.kx.example'])
  for (const id of ['mail.kx.example', ' Mail.KX.example 1', 'mail.kx.example(c)', 'mail.kx.example\t(c) 1'])
    expect([id, parseAuthenticationResults(`${id}; spf=pass`).authservId]).toEqual([id, 'mail.kx.example'])
})

test('an address that is none is an error', () => {
  for (const address of ['mx.example.net', '10.0.0.0/33', '10.0.0.0/', '10.0.0.0/8/8', ''])
    expect(() => relayTrust([{ authservId: 'mx', addresses: [address] }])).toThrow('invalid address')
})

test('a version without a method is not a result', () => {
  expect(parseAuthenticationResults('mx.example.net; /1=pass; spf/1=pass').results).toMatchObject([
    { method: 'spf', result: 'pass' },
  ])
})

test('any value is read', () => {
  const unit = fc.oneof(fc.constantFrom(';', '=', '"', '\\', '(', ')', ' ', 'spf', 'pass', '__proto__'), fc.string())
  fc.assert(
    fc.property(fc.array(unit), pieces => {
      for (const { method, result } of parseAuthenticationResults(pieces.join('')).results)
        expect([method, result]).not.toContain('')
    }),
  )
})
