import { TidingsError } from '../errors.ts'

/** The parts of `kafka://USER:PASSWORD@HOST:PORT,HOST:PORT/PATH?OPTIONS`. `URL` knows one host only. */
export interface KafkaUrl {
  /** The scheme is `kafkas`. */
  readonly isTls: boolean
  /** `USER:PASSWORD`, percent-encoded. */
  readonly login: string | undefined
  readonly brokers: readonly KafkaHost[]
  readonly path: string
  readonly options: URLSearchParams
}

export interface KafkaHost {
  readonly host: string
  readonly port: number
}

/** @throws E_SETTING_INVALID, without the login */
export function parseKafkaUrl(text: string): KafkaUrl {
  const match = /^(kafkas?):\/\/(?:([^@/]*)@)?([^/?]+)(?:\/([^?]*))?(?:\?(.*))?$/.exec(text)
  if (!match) throw invalidKafkaUrl('it must look like kafka://HOST:PORT')
  const [, scheme, login, hosts, path = '', search] = match
  return {
    isTls: scheme === 'kafkas',
    login,
    brokers: hosts!.split(',').map(hostFrom),
    path,
    options: new URLSearchParams(search),
  }
}

/** The brokers, for people. */
export const shownBrokers = (isTls: boolean, brokers: readonly KafkaHost[]) =>
  `${isTls ? 'kafkas' : 'kafka'}://${brokers.map(({ host, port }) => `${host}:${port}`).join(',')}`

function hostFrom(text: string): KafkaHost {
  const match = /^(.+?|\[.+\])(?::(\d{1,5}))?$/.exec(text)
  if (!match) throw invalidKafkaUrl(`"${text}" is not HOST:PORT`)
  return { host: match[1]!.replace(/^\[|\]$/g, ''), port: Number(match[2] ?? 9_092) }
}

export const invalidKafkaUrl = (problem: string) =>
  new TidingsError('E_SETTING_INVALID', `the address of Kafka: ${problem}`)
