import { generateKeyPairSync, randomBytes, sign } from 'node:crypto'

/**
 * A self-signed certificate for 127.0.0.1 and localhost, valid for one day, in PEM. Clients use `cert` as their certificate
 * authority.
 */
export function selfSigned(): { readonly cert: string; readonly key: string } {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const name = sequence(set(sequence(commonName, utf8('tidings test'))))
  const now = Date.now()
  const serial = Buffer.concat([Buffer.from([1]), randomBytes(8)])
  const body = sequence(
    tagged(0xa0, tagged(0x02, Buffer.from([2]))),
    tagged(0x02, serial),
    sequence(ecdsaWithSha256),
    name,
    sequence(time(now - hour), time(now + 24 * hour)),
    name,
    publicKey.export({ type: 'spki', format: 'der' }),
    tagged(0xa3, sequence(extension(basicConstraints, isAuthority), extension(subjectAltName, hosts))),
  )
  const signature = tagged(0x03, Buffer.concat([Buffer.from([0]), sign('sha256', body, privateKey)]))
  const cert = sequence(body, sequence(ecdsaWithSha256), signature).toString('base64')
  const lines = cert.match(/.{1,64}/g)!.join('\n')
  return {
    cert: `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`,
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  }
}

const hour = 3_600_000

/* DER: tag, length, content. */

function tagged(tag: number, ...contents: Buffer[]): Buffer {
  const content = Buffer.concat(contents)
  const { length } = content
  const size = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from([tag, ...size]), content])
}

const sequence = (...contents: Buffer[]) => tagged(0x30, ...contents)
const set = (...contents: Buffer[]) => tagged(0x31, ...contents)
const utf8 = (text: string) => tagged(0x0c, Buffer.from(text))
const identifier = (hex: string) => tagged(0x06, Buffer.from(hex, 'hex'))
const extension = (id: Buffer, value: Buffer) => sequence(id, tagged(0x04, value))
const time = (ms: number) => tagged(0x18, Buffer.from(new Date(ms).toISOString().replace(/\.\d+|[-:T]/g, '')))

const commonName = identifier('550403')
const ecdsaWithSha256 = identifier('2a8648ce3d040302')
const basicConstraints = identifier('551d13')
const subjectAltName = identifier('551d11')
const isAuthority = sequence(tagged(0x01, Buffer.from([0xff])))
const hosts = sequence(tagged(0x82, Buffer.from('localhost')), tagged(0x87, Buffer.from([127, 0, 0, 1])))
