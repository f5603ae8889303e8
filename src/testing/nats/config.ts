/** Settings of a server. */
export interface NatsConfig {
  /** Syncs each write to the disk before it is acknowledged. */
  readonly syncAlways?: boolean
  /** Bytes. */
  readonly maxPayload?: number
  readonly auth?: { readonly user: string; readonly password: string } | { readonly token: string }
  /** Files in PEM. With `ca`, clients must show a certificate of it. */
  readonly tls?: { readonly cert: string; readonly key: string; readonly ca?: string }
  /** Further lines of the configuration file. */
  readonly config?: string
}

/** Name, ports and folder of a server. */
export interface Place {
  readonly name: string
  readonly port: number
  readonly monitorPort: number
  readonly dataDir: string
  readonly cluster?: { readonly port: number; readonly routes: readonly number[] }
}

const host = '127.0.0.1'
const text = JSON.stringify

/** The text of its configuration file. */
export function configText(place: Place, config: NatsConfig): string {
  const { auth, tls, maxPayload } = config
  return [
    `server_name: ${text(place.name)}`,
    `listen: "${host}:${place.port}"`,
    `http: "${host}:${place.monitorPort}"`,
    `jetstream { store_dir: ${text(place.dataDir)}${config.syncAlways ? ', sync_interval: always' : ''} }`,
    ...(maxPayload === undefined ? [] : [`max_payload: ${maxPayload}`]),
    ...(auth && 'token' in auth ? [`authorization { token: ${text(auth.token)} }`] : []),
    ...(auth && 'user' in auth ? [`authorization { user: ${text(auth.user)}, password: ${text(auth.password)} }`] : []),
    ...(tls ? [tlsText(tls)] : []),
    ...(place.cluster ? [clusterText(place.cluster)] : []),
    ...(config.config === undefined ? [] : [config.config]),
    '',
  ].join('\n')
}

function tlsText({ cert, key, ca }: NonNullable<NatsConfig['tls']>): string {
  const verify = ca === undefined ? '' : `, ca_file: ${text(ca)}, verify: true`
  return `tls { cert_file: ${text(cert)}, key_file: ${text(key)}${verify} }`
}

function clusterText({ port, routes }: NonNullable<Place['cluster']>): string {
  const urls = routes.map(route => text(`nats://${host}:${route}`))
  return `cluster { name: "test", listen: "${host}:${port}", routes: [${urls.join(', ')}] }`
}
