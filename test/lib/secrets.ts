import fc from 'fast-check'

/** A secret as it stands in a text, and those parts of it that must not be seen anywhere. */
export interface Planted {
  readonly text: string
  readonly clear: readonly string[]
}

const upper = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ'
const digits = '0123456789'
const letters = upper + upper.toLowerCase()
const alphanumeric = letters + digits

const chars = (alphabet: string, length: number) =>
  fc.string({ unit: fc.constantFrom(...alphabet.split('')), minLength: length, maxLength: length })
const whole = (secret: fc.Arbitrary<string>): fc.Arbitrary<Planted> => secret.map(text => ({ text, clear: [text] }))
const after = (prefix: string, secret: fc.Arbitrary<string>) => whole(secret.map(text => prefix + text))
const within = (before: string, secret: fc.Arbitrary<string>, behind = ''): fc.Arbitrary<Planted> =>
  secret.map(text => ({ text: `${before}${text}${behind}`, clear: [text] }))
const base64url = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
const jwt = fc
  .tuple(fc.uuid(), chars(alphanumeric, 43))
  .map(
    ([sub, signature]) =>
      `${base64url({ alg: 'HS256', typ: 'JWT' })}.${base64url({ sub, iat: 1795000000 })}.${signature}`,
  )

/** By name, secrets of every kind that is known by its shape. Made here: none of them opens anything. */
export const planted: Readonly<Record<string, fc.Arbitrary<Planted>>> = {
  'private-key': fc
    .tuple(
      fc.constantFrom('', 'RSA ', 'EC ', 'OPENSSH ', 'ENCRYPTED '),
      fc.array(chars(`${alphanumeric}+/`, 64), { minLength: 3, maxLength: 6 }),
    )
    .map(([kind, lines]) => ({
      text: `-----BEGIN ${kind}PRIVATE KEY-----\n${lines.join('\n')}\n-----END ${kind}PRIVATE KEY-----`,
      clear: lines,
    })),
  'aws-key-id': fc.oneof(after('AKIA', chars(upper + digits, 16)), after('ASIA', chars(upper + digits, 16))),
  'aws-secret-key': fc.oneof(
    within('aws_secret_access_key = ', chars(`${alphanumeric}/+`, 40)),
    within('AWS_SECRET_ACCESS_KEY=', chars(`${alphanumeric}/+`, 40)),
    within('secretAccessKey: ', chars(`${alphanumeric}/+`, 40)),
  ),
  'aws-session-token': after('IQoJb3JpZ2luX2Vj', chars(alphanumeric, 120)).map(({ text }) => ({
    text: text.replace('X2Vj', ''),
    clear: [text.replace('X2Vj', '')],
  })),
  'github-token': fc.oneof(
    ...['ghp_', 'gho_', 'ghs_'].map(prefix => after(prefix, chars(alphanumeric, 36))),
    after('github_pat_', chars(`${alphanumeric}_`, 82)),
  ),
  'gitlab-token': after('glpat-', chars(`${alphanumeric}_-`, 20)),
  'slack-token': fc.oneof(
    after('xoxb-', chars(`${digits}-${alphanumeric}`, 40)),
    after('xapp-1-', chars(alphanumeric, 40)),
  ),
  'slack-webhook': within(
    'https://hooks.slack.com/services/',
    chars(alphanumeric, 10).map(text => `T00000000/B00000000/${text}`),
  ),
  'stripe-key': fc.oneof(
    after('sk_live_', chars(alphanumeric, 24)),
    after('rk_test_', chars(alphanumeric, 24)),
    after('whsec_', chars(alphanumeric, 32)),
  ),
  'anthropic-key': after('sk-ant-api03-', chars(`${alphanumeric}_-`, 93)),
  'openai-key': fc.oneof(
    after(
      'sk-proj-',
      chars(`${alphanumeric}_-`, 80).map(text => `A1${text}`),
    ),
    after(
      'sk-',
      chars(alphanumeric, 46).map(text => `A1${text}`),
    ),
  ),
  'google-key': after('AIza', chars(`${alphanumeric}_-`, 35)),
  'google-oauth': fc.oneof(
    after('ya29.', chars(`${alphanumeric}_-`, 60)),
    after('GOCSPX-', chars(`${alphanumeric}_-`, 28)),
  ),
  'huggingface-token': after('hf_', chars(letters, 34)),
  'npm-token': fc.oneof(after('npm_', chars(alphanumeric, 36)), within('//registry.example/:_authToken=', fc.uuid())),
  'tidings-key': fc.oneof(
    after('tidings_k3v9x0q2ab_', chars(alphanumeric, 49)),
    after('tidings_ticket_', chars(`${alphanumeric}_-`, 90)),
  ),
  'pypi-token': after('pypi-AgEIcHlwaS5vcmc', chars(`${alphanumeric}_-`, 100)),
  'docker-token': after('dckr_pat_', chars(`${alphanumeric}_-`, 27)),
  'sendgrid-key': fc
    .tuple(chars(alphanumeric, 22), chars(alphanumeric, 43))
    .map(([a, b]) => ({ text: `SG.${a}.${b}`, clear: [a, b] })),
  'vault-token': after('hvs.', chars(`${alphanumeric}_-`, 90)),
  'age-key': after('AGE-SECRET-KEY-1', chars('023456789ACDEFGHJKLMNPQRSTUVWXYZ', 58)),
  'nkey-seed': after('SU', chars('ABCDEFGHIJKLMNOPQRSTUVWXYZ234567', 56)).map(({ text }) => ({
    text: `SU${text.slice(2)}`,
    clear: [text],
  })),
  jwt: whole(jwt),
  authorization: fc.oneof(
    within('Authorization: Bearer ', chars(letters, 12)),
    within('authorization: basic ', chars(letters, 12)),
  ),
  'bearer-token': fc.oneof(
    within(
      'Bearer ',
      chars(alphanumeric, 30).map(text => `${text}7`),
    ),
    within('bearer ', chars(letters, 40)),
  ),
  'basic-credentials': within(
    'Basic ',
    fc.tuple(chars(letters, 6), chars(alphanumeric, 12)).map(pair => Buffer.from(pair.join(':')).toString('base64')),
  ),
  'url-password': fc.oneof(
    within('postgres://app:', chars(`${alphanumeric}!$%~+=#`, 14), '@db.example:5432/app'),
    within(
      'https://',
      chars(alphanumeric, 14).map(text => `:${text}`),
      '@example.org/x',
    ),
  ),
}

/** A secret of any kind. */
export const aSecret = fc.oneof(...Object.values(planted))
