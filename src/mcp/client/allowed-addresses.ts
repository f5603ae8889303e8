import { lookup } from 'node:dns/promises'
import { BlockList, isIP } from 'node:net'
import { TidingsError } from '../../errors.ts'

/*
 * A server names other addresses: in redirects, and as the authorization servers of OAuth. A malicious one names addresses inside the network of
 * the worker, such as the metadata service of a cloud. Only the origin that the app configured is free of these rules.
 */

const linkLocal = new BlockList()
linkLocal.addSubnet('169.254.0.0', 16)
linkLocal.addSubnet('fe80::', 10, 'ipv6')
// Metadata services with addresses of their own.
linkLocal.addAddress('fd00:ec2::254', 'ipv6')
linkLocal.addAddress('100.100.100.200')
linkLocal.addAddress('168.63.129.16')
linkLocal.addSubnet('0.0.0.0', 8)
linkLocal.addAddress('::', 'ipv6')

const inside = new BlockList()
for (const [net, bits] of [['10.0.0.0', 8], ['172.16.0.0', 12], ['192.168.0.0', 16], ['127.0.0.0', 8], ['100.64.0.0', 10]] as const) inside.addSubnet(net, bits) // biome-ignore format: a table
inside.addSubnet('fc00::', 7, 'ipv6')
inside.addAddress('::1', 'ipv6')

const isIn = (list: BlockList, address: string) => list.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4')

/** Decides which addresses a client of one server may contact. */
export class AddressPolicy {
  readonly #home: URL
  #isHomeInside: Promise<boolean> | undefined

  constructor(home: URL) {
    this.#home = home
  }

  /** The addresses to connect to. @throws E_MCP_ADDRESS */
  async allowed(url: URL): Promise<readonly string[]> {
    if (url.protocol !== 'https:' && url.protocol !== 'http:') throw refused(url, 'only http and https are allowed')
    const addresses = await addressesOf(url)
    if (url.origin === this.#home.origin) return addresses
    if (addresses.some(address => isIn(linkLocal, address))) throw refused(url, 'it is a link-local address')
    if (addresses.some(address => isIn(inside, address)) && !(await this.#homeIsInside()))
      throw refused(url, 'it is an address inside a private network, and the server is not')
    if (url.protocol === 'http:' && !addresses.every(address => isIn(inside, address)))
      throw refused(url, 'credentials are sent over https only')
    return addresses
  }

  #homeIsInside(): Promise<boolean> {
    return (this.#isHomeInside ??= addressesOf(this.#home).then(
      addresses => addresses.every(address => isIn(inside, address)),
      () => false,
    ))
  }
}

async function addressesOf({ hostname }: URL): Promise<string[]> {
  const host = hostname.replace(/^\[|\]$/g, '')
  if (isIP(host)) return [host]
  return (await lookup(host, { all: true })).map(({ address }) => address)
}

const refused = (url: URL, why: string) =>
  new TidingsError('E_MCP_ADDRESS', `the MCP server names the address ${url.origin}, which is not contacted: ${why}`)
