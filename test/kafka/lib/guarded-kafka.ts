import { generateKeyPair, exportJWK, SignJWT, type CryptoKey } from 'jose'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Admin } from '@platformatic/kafka'
import { selfSigned } from '../../../src/testing/certificate.ts'
import { startKafka, type Kafka } from '../../../src/testing/kafka/start.ts'
import { freePort } from '../../../src/testing/ports.ts'

/* A broker on which nobody may do anything but the users of deploy/kafka/acls.sh, each with the rights that it gives. */

export const password = (user: string) => `secret-of-${user}`

const users = ['agents', 'workers', 'nobody']
const issuer = 'https://issuer.test'

export interface GuardedKafka extends AsyncDisposable {
  readonly kafka: Kafka
  /** Of the listeners, by name: a login in clear, a login over TLS, client certificates. */
  readonly ports: Readonly<Record<'login' | 'logintls' | 'certificates', number>>
  /** Files in PEM. */
  readonly files: Readonly<Record<'ca' | 'cert' | 'key' | 'strangerCert' | 'strangerKey', string>>
  readonly folder: string
  token(user: string, audience?: string): Promise<string>
}

export async function startGuardedKafka(): Promise<GuardedKafka> {
  const folder = await mkdtemp(join(tmpdir(), 'tidings-guarded-kafka-'))
  const file = async (name: string, text: string) => {
    const path = join(folder, name)
    await writeFile(path, text)
    return path
  }
  const [broker, client, stranger] = [selfSigned(), selfSigned(), selfSigned()]
  const files = {
    ca: await file('ca.pem', broker.cert),
    cert: await file('client.pem', client.cert),
    key: await file('client.key', client.key),
    strangerCert: await file('stranger.pem', stranger.cert),
    strangerKey: await file('stranger.key', stranger.key),
  }
  const keyStore = await file('broker.pem', broker.key + broker.cert)
  const { publicKey, privateKey } = await generateKeyPair('RS256', { extractable: true })
  const jwk = { ...(await exportJWK(publicKey)), kid: 'test', alg: 'RS256', use: 'sig' }
  const jwks = `file://${await file('jwks.json', JSON.stringify({ keys: [jwk] }))}`
  const ports = { login: await freePort(), logintls: await freePort(), certificates: await freePort() }
  const login = (listener: string) => ({
    [`listener.name.${listener}.sasl.enabled.mechanisms`]: 'PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER',
    [`listener.name.${listener}.plain.sasl.jaas.config`]: `org.apache.kafka.common.security.plain.PlainLoginModule required ${users.map(user => `user_${user}="${password(user)}"`).join(' ')};`,
    [`listener.name.${listener}.scram-sha-256.sasl.jaas.config`]:
      'org.apache.kafka.common.security.scram.ScramLoginModule required;',
    [`listener.name.${listener}.scram-sha-512.sasl.jaas.config`]:
      'org.apache.kafka.common.security.scram.ScramLoginModule required;',
    [`listener.name.${listener}.oauthbearer.sasl.jaas.config`]:
      'org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required;',
    [`listener.name.${listener}.oauthbearer.sasl.server.callback.handler.class`]:
      'org.apache.kafka.common.security.oauthbearer.OAuthBearerValidatorCallbackHandler',
  })
  const kafka = await startKafka({
    listeners: [
      { name: 'login', port: ports.login, protocol: 'SASL_PLAINTEXT' },
      { name: 'logintls', port: ports.logintls, protocol: 'SASL_SSL' },
      { name: 'certificates', port: ports.certificates, protocol: 'SSL' },
    ],
    scram: users.flatMap(user =>
      ['SCRAM-SHA-256', 'SCRAM-SHA-512'].map(mechanism => `${mechanism}=[name=${user},password=${password(user)}]`),
    ),
    javaOptions: [`-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls=${jwks}`],
    config: {
      ...login('login'),
      ...login('logintls'),
      'sasl.oauthbearer.jwks.endpoint.url': jwks,
      'sasl.oauthbearer.expected.audience': 'kafka',
      'sasl.oauthbearer.expected.issuer': issuer,
      'ssl.keystore.type': 'PEM',
      'ssl.keystore.location': keyStore,
      'ssl.truststore.type': 'PEM',
      'ssl.truststore.location': files.cert,
      'listener.name.certificates.ssl.client.auth': 'required',
      // The test that shows a certificate is called as its certificate is.
      'listener.name.certificates.ssl.principal.mapping.rules': 'RULE:^CN=tidings test$/agents/',
      'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
      // The listener without a login is that of the broker and of this fixture.
      'super.users': 'User:ANONYMOUS',
    },
  })
  const stop = async () => {
    await kafka.stop()
    await rm(folder, { recursive: true, force: true })
  }
  try {
    await grant(kafka.bootstrap)
  } catch (error) {
    await stop()
    throw error
  }
  const token = (user: string, audience = 'kafka') => signed(privateKey, user, audience)
  return { kafka, ports, files, folder, token, [Symbol.asyncDispose]: stop }
}

const signed = (key: CryptoKey, user: string, audience: string) =>
  new SignJWT({ scope: 'kafka' })
    .setProtectedHeader({ alg: 'RS256', kid: 'test' })
    .setSubject(user)
    .setIssuer(issuer)
    .setAudience(audience)
    .setIssuedAt()
    .setExpirationTime('5m')
    .sign(key)

const resourceTypes: Record<string, number> = { topic: 2, group: 3, cluster: 4, 'transactional-id': 5 }
const operations = [
  '',
  'Any',
  'All',
  'Read',
  'Write',
  'Create',
  'Delete',
  'Alter',
  'Describe',
  'ClusterAction',
  'DescribeConfigs',
]
const [literal, prefixed, allow] = [3, 4, 3]

/** One line of the template: to whom, on what, and which operations. */
export interface Grant {
  readonly user: string
  readonly resource: string
  readonly operations: readonly string[]
}

/** The rights of deploy/kafka/acls.sh. */
export async function grants(): Promise<Grant[]> {
  const text = await readFile(join(import.meta.dirname, '../../../deploy/kafka/acls.sh'), 'utf8')
  const ofLog = [...text.matchAll(/^of_log (\w+) --([\w-]+) "([\w ]+)"$/gm)]
  const ofCluster = [...text.matchAll(/^allow (\w+) --(cluster) --operation (\w+)$/gm)]
  return [...ofLog, ...ofCluster].map(([, user, resource, list]) => ({
    user: user!,
    resource: resource!,
    operations: list!.split(' '),
  }))
}

/** Gives the rights of the template for every log whose name begins with `tidings`. */
async function grant(bootstrap: string): Promise<void> {
  await using admin = Object.assign(
    new Admin({ clientId: 'test', bootstrapBrokers: [bootstrap], retries: 50, retryDelay: 100 }),
    { [Symbol.asyncDispose]: () => admin.close() },
  )
  const creations = (await grants()).flatMap(({ user, resource, operations: list }) =>
    list.map(operation => ({
      resourceType: resourceTypes[resource]!,
      resourceName: resource === 'cluster' ? 'kafka-cluster' : 'tidings.',
      resourcePatternType: resource === 'cluster' ? literal : prefixed,
      principal: `User:${user}`,
      host: '*',
      operation: operations.indexOf(operation),
      permissionType: allow,
    })),
  )
  await admin.createAcls({ creations: creations as never })
}
