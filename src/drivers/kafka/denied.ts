import { protocolAPIsById } from '@platformatic/kafka'
import { TidingsError } from '../../errors.ts'
import { errorChain } from '../../kafka/error-chain.ts'
import { shownKafkaAddress, type KafkaAddress } from './address.ts'
import type { KafkaRefusal } from './refusal.ts'

/*
 * What nobody but an operator can change: credentials, rights, TLS. Everything else is a broker that is away.
 */

/** Refused credentials or TLS, where the client wraps what the broker or OpenSSL said. */
export function refusedConnection(address: KafkaAddress, error: unknown): TidingsError | undefined {
  for (const { code, message, apiId } of errorChain(error)) {
    if (apiId === 'SASL_AUTHENTICATION_FAILED' || message.startsWith('token refused'))
      return denied(address, `the broker refuses the credentials: ${message}`, error)
    if (apiId === 'UNSUPPORTED_SASL_MECHANISM')
      return denied(address, `the broker does not offer sasl=${address.login?.mechanism.toLowerCase()}`, error)
    if (apiId === 'ILLEGAL_SASL_STATE')
      return denied(address, 'this listener of the broker has no login: leave out sasl, or use its other port', error)
    const tls = tlsProblem(address, code ?? '', message)
    if (tls) return new TidingsError('E_BUS_TLS', `${shownKafkaAddress(address)}: ${tls}`, { cause: error })
  }
  return undefined
}

/** A listener that wants a login, or TLS before it, closes the connection of a client without it, and says nothing. */
export function silentHint({ login, tls }: KafkaAddress): string {
  const wanted = [...(login ? [] : ['a login (sasl=…)']), ...(tls ? [] : ['TLS (kafkas://)'])]
  return wanted.length === 0 ? '' : `. If the broker is up, it may want ${wanted.join(' or ')}`
}

/** A right that the user of the address lacks. */
export function missingRight(
  address: KafkaAddress,
  refusal: KafkaRefusal,
  request: number,
  about: string,
): TidingsError | undefined {
  if (!refusal.code.endsWith('_AUTHORIZATION_FAILED')) return undefined
  const what = `${protocolAPIsById[request] ?? `request ${request}`}${about && ` of ${about}`}`
  const user = address.login && 'user' in address.login ? `the user "${address.login.user}"` : 'this process'
  return denied(address, `${user} has no right for ${what} (${refusal.code})`, refusal)
}

const denied = (address: KafkaAddress, problem: string, cause: unknown) =>
  new TidingsError('E_BUS_DENIED', `${shownKafkaAddress(address)}: ${problem}`, { cause })

const untrusted = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'CERT_HAS_EXPIRED',
  'CERT_SIGNATURE_FAILURE',
])

function tlsProblem({ tls }: KafkaAddress, code: string, message: string): string | undefined {
  if (message === 'Broker requires TLS.') return 'the broker wants TLS: write kafkas:// instead of kafka://'
  if (message.startsWith('TLS handshake failed') || (tls && code === 'ERR_SSL_WRONG_VERSION_NUMBER'))
    return 'the broker does not speak TLS on this port: write kafka:// instead of kafkas://, or use its other port'
  if (untrusted.has(code))
    return `the certificate of the broker is not trusted (${message}): name its authority with ca=FILE`
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') return `the certificate of the broker is for another name (${message})`
  if (/^ERR_SSL_.*ALERT/.test(code))
    return tls?.cert
      ? `the broker refuses the certificate of this process (${message})`
      : `the broker refuses the connection (${message}): it may want a certificate, cert=FILE&key=FILE`
  if (/^ERR_(SSL|OSSL)_/.test(code)) return message
  return undefined
}
