import fc from 'fast-check'
import { Webhook } from 'standardwebhooks'
import { expect, test } from 'vitest'
import { webhookIds } from './ids.ts'
import { signatures, standardSignatures, stripeSignature } from './signatures.ts'

const bytes = fc.uint8Array({ maxLength: 300 }).map(some => Buffer.from(some))
const keyBytes = fc.uint8Array({ minLength: 24, maxLength: 64 }).map(some => Buffer.from(some))
const word = fc.stringMatching(/^[a-zA-Z0-9_-]{1,40}$/)
const any = fc.string({ unit: 'binary', maxLength: 200 })
const hex = fc.stringMatching(/^[0-9a-f]{64}$/)

test('what is signed is verified, by each scheme, for all bytes; with another key, id or byte it is not', () => {
  const schemes = fc.constantFrom(...Object.values(signatures))
  fc.assert(
    fc.property(schemes, bytes, keyBytes, keyBytes, word, (scheme, body, key, other, id) => {
      const headers = scheme.sign(body, key, id)
      const at = scheme.verify({ headers, bytes: body }, [other, key])
      expect(at === undefined || Math.abs(Date.now() - at) < 60_000).toBe(true)
      if (!key.equals(other))
        expect(() => scheme.verify({ headers, bytes: body }, [other])).toThrow(/no signature matches/)
      const longer = Buffer.concat([body, Buffer.of(0)])
      expect(() => scheme.verify({ headers, bytes: longer }, [key])).toThrow(/no signature matches/)
      if (body.length > 0) {
        const flipped = Buffer.from(body)
        flipped[body.length >> 1]! ^= 1
        expect(() => scheme.verify({ headers, bytes: flipped }, [key])).toThrow(/no signature matches/)
      }
    }),
  )
})

test('the library of Standard Webhooks and we sign alike', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), keyBytes, word, (text, key, id) => {
      const secret = `whsec_${key.toString('base64')}`
      expect(signatures.standard.key(secret)).toEqual(key)
      const headers = signatures.standard.sign(Buffer.from(text), key, id)
      new Webhook(secret).verify(text, headers, { jsonParse: false })
    }),
  )
})

test('any header is read or refused, and never taken', () => {
  const header = fc.oneof(
    any,
    fc.array(fc.constantFrom('v1', 't', '=', ',', ' ', '1', '.', 'a'), { maxLength: 60 }).map(s => s.join('')),
  )
  fc.assert(
    fc.property(header, header, bytes, keyBytes, (one, two, body, key) => {
      const headers = {
        'webhook-id': two,
        'webhook-timestamp': '1',
        'webhook-signature': one,
        'x-hub-signature-256': one,
        'stripe-signature': one,
      }
      for (const scheme of Object.values(signatures))
        expect(() => scheme.verify({ headers, bytes: body }, [key])).toThrow(
          expect.objectContaining({ code: 'E_SIGNATURE_INVALID', status: 401 }),
        )
    }),
  )
})

test('a list of signatures is read as it was written', () => {
  const entry = fc.tuple(fc.constantFrom('v1', 'v1a', 'v2', ''), fc.base64String())
  fc.assert(
    fc.property(fc.array(entry), entries => {
      const header = entries.map(([version, signature]) => `${version},${signature}`).join(' ')
      const ours = entries.filter(([version]) => version === 'v1').map(([, signature]) => signature)
      expect(standardSignatures(header)).toEqual(ours)
    }),
  )
  const part = fc.oneof(
    hex.map(some => ['v1', some] as const),
    hex.map(some => ['v0', some] as const),
    fc.constantFrom(['v1', 'short'] as const, ['x', ''] as const),
  )
  fc.assert(
    fc.property(fc.array(part), fc.integer({ min: 0, max: 1e11 }), fc.nat(9), (parts, at, where) => {
      const all = [...parts.slice(0, where), ['t', String(at)] as const, ...parts.slice(where)]
      const header = all.map(([name, text]) => `${name}=${text}`).join(',')
      const ours = parts.filter(([name, text]) => name === 'v1' && text.length === 64).map(([, text]) => text)
      expect(stripeSignature(header)).toEqual({ at: String(at), signatures: ours })
      // Two times are none.
      expect(stripeSignature(`${header},t=${at + 1}`)).toEqual({ signatures: ours })
    }),
  )
})

test('requests that the source distinguishes have different ids', () => {
  fc.assert(
    fc.property(any, any, bytes, bytes, (one, two, a, b) => {
      const [first, second] = [webhookIds('x', one, a), webhookIds('x', two, b)]
      expect(first.id === second.id).toBe(one === two && a.equals(b))
      expect(Object.keys(first)).toEqual(['id'])
    }),
  )
  expect(webhookIds('x', undefined, Buffer.of())).not.toEqual(webhookIds('x', undefined, Buffer.of()))
})
