/*
 * The built-in secret formats. Each is distinctive, so that ordinary text stays unchanged, and its pattern takes linear
 * time on any text: only one class of characters repeats without a bound, and nothing that can fail follows it.
 */

export interface Secret {
  readonly name: string
  /**
   * Every text with the secret contains one of these, so that one cheap test decides whether to run `match`. Best is a hint
   * that ends with `_`, `-` or `.`: these are rare in text, and the test looks back only from them.
   */
  readonly hints: readonly string[]
  readonly match: RegExp
  /** Rejects text that only resembles the secret. */
  readonly isSecret?: (found: string) => boolean
}

const pemLabel = '[A-Z0-9 ]{0,32}(?:PRIVATE KEY(?: BLOCK)?|NKEY SEED)'
// Between the name of a setting and its value, in any notation, also JSON within JSON.
const assigned = String.raw`["'\\]{0,4}\s{0,4}[:=]\s{0,4}["'\\]{0,4}`
// Not in the middle of a word. The letter of an escape sequence does not count: \n, %0A, a terminal colour.
const fresh = String.raw`(?<![A-Za-z0-9](?<!\\[bfnrtv]|\\u[0-9a-fA-F]{4}|%[0-9A-F]{2}|\[[0-9;]{1,8}m))`

export const secrets: readonly Secret[] = [
  {
    name: 'private-key',
    hints: ['(?:KEY|BLOCK|SEED)-'],
    // To its end line; if that is missing, to the end of the Base64 text.
    match: new RegExp(
      `-----BEGIN ${pemLabel}-----(?:[^-]*(?:-(?!----)[^-]*)*-{5,6}END ${pemLabel}-{5,6}|[A-Za-z0-9+/=\\s\\\\>|]*)`,
      'g',
    ),
  },
  { name: 'aws-key-id', hints: ['A[KS]IA'], match: /A[KS]IA[A-Z0-9]{16}/g },
  {
    name: 'aws-secret-key',
    hints: ['(?:ccess|CCESS)[_-]', 'ccess[Kk]ey'],
    match: new RegExp(`(?<=secret[_-]?access[_-]?key${assigned})(?:\\\\?/|[A-Za-z0-9+]){40}(?![A-Za-z0-9/+=])`, 'gi'),
  },
  {
    name: 'aws-session-token',
    hints: ['IQoJb3', 'F[wQ]oGZ'],
    match: /(?:IQoJb3JpZ2|F[wQ]oGZXIvYXdz)(?:\\?\/|[A-Za-z0-9+=]){60,}/g,
  },
  {
    name: 'github-token',
    hints: ['(?:gh[pousr]|pat)_'],
    match: /(?:gh[pousr]|github_pat)_\w{22,}(?:\.[\w-]{8,}){0,2}/g,
  },
  {
    name: 'gitlab-token',
    hints: ['gl[a-z]{2,5}-'],
    match: /gl(?:pat|ptt|dt|rt|cbt|ft|soat|agent|oas|imt|ffct)-[\w.-]{20,}/g,
  },
  {
    name: 'slack-token',
    hints: ['(?:xox[a-z]|xapp)-'],
    match: /xox[abeoprs]-[\w-]{10,}|xapp-\d-[\w-]{10,}/g,
  },
  {
    name: 'slack-webhook',
    hints: ['hooks\\.'],
    match: /(?<=hooks\.slack\.com\\?\/(?:services|workflows|triggers)\\?\/)[\w/+\\-]{16,}/g,
  },
  {
    name: 'stripe-key',
    hints: ['(?:_live|_test|whsec)_'],
    match: /[sr]k_(?:live|test)_[A-Za-z0-9]{10,}|whsec_[A-Za-z0-9+/=]{24,}/g,
  },
  { name: 'anthropic-key', hints: ['sk-ant-'], match: /sk-ant-[\w-]{20,}/g },
  {
    name: 'openai-key',
    // Not in task-, risk-, disk-.
    hints: ['(?:^|[^a-ln-z]|\\\\[a-z])sk-'],
    match: new RegExp(`${fresh}sk-[\\w-]{20,}`, 'g'),
    isSecret: found => /[A-Z0-9]/.test(found),
  },
  { name: 'google-key', hints: ['AIza', 'AQ\\.'], match: /AIza[\w-]{35}|AQ\.Ab[\w-]{30,}/g },
  { name: 'google-oauth', hints: ['ya29\\.', 'GOCSPX-'], match: /ya29\.[\w-]{20,}|GOCSPX-[\w-]{20,}/g },
  { name: 'huggingface-token', hints: ['hf_'], match: /hf_[A-Za-z0-9]{30,}/g },
  {
    name: 'tidings-key',
    hints: ['tidings_[a-z0-9]{6,10}_'],
    match: /tidings_(?:ticket|[a-z0-9]{10})_[\w.-]{20,}/g,
  },
  {
    name: 'npm-token',
    hints: ['npm_', '_authT'],
    match: new RegExp(`npm_[A-Za-z0-9]{36,}|(?<=_authToken${assigned})[\\w+/=.~-]{8,}`, 'g'),
  },
  { name: 'pypi-token', hints: ['pypi-'], match: /pypi-AgEI[\w-]{50,}/g },
  { name: 'docker-token', hints: ['dckr_[op]at_'], match: /dckr_[op]at_[\w-]{20,}/g },
  { name: 'sendgrid-key', hints: ['SG\\.'], match: /SG\.[\w-]{16,64}\.[\w-]{16,}/g },
  { name: 'vault-token', hints: ['hv[sbr]\\.'], match: /hv[sbr]\.[\w-]{24,}/g },
  { name: 'age-key', hints: ['AGE-'], match: /AGE-SECRET-KEY-1[0-9A-Z]{50,}/g },
  {
    name: 'nkey-seed',
    hints: ['S[ACNOUX][A-Z2-7]{56}'],
    match: /(?<![A-Z0-9])S[ACNOUX][A-Z2-7]{56}(?![A-Z0-9])/g,
  },
  {
    name: 'jwt',
    hints: ['eyJ'],
    // Matches loosely, and `isSecret` checks the parts: requiring the dots here would backtrack for every eyJ inside.
    match: /eyJ[\w-]*(?:\.[\w-]*)*/g,
    isSecret: isJwt,
  },
  {
    name: 'authorization',
    hints: ['[Bb](?:earer|asic|EARER|ASIC)\\s'],
    match: new RegExp(`(?<=authorization${assigned}(?:bearer|basic)\\s{1,4})[\\w.~+/=-]{6,}`, 'gi'),
  },
  {
    name: 'bearer-token',
    hints: ['[Bb](?:earer|asic|EARER|ASIC)\\s'],
    match: /(?<=bearer\s{1,4})[\w.~+/=-]{16,}/gi,
    isSecret: found => /[0-9]|[a-z][A-Z]/.test(found) || found.length >= 32,
  },
  {
    name: 'basic-credentials',
    hints: ['[Bb](?:earer|asic|EARER|ASIC)\\s'],
    match: /(?<=basic\s{1,4})[A-Za-z0-9+/]{4,}={0,2}/gi,
    isSecret: isUserAndPassword,
  },
  {
    name: 'url-password',
    hints: [':\\\\?/\\\\?/[^\\s/:@]{0,128}:[^\\s/@]{1,512}@'],
    match: /(?<=:\\?\/\\?\/[^\s/:@"'<>\\`]{0,128}:)[^\s/"'<>\\`,{}]{1,512}(?=@)/g,
  },
]

/** Header, payload and signature (JWS), or header, key, vector, content and tag (JWE). Source: RFC 7515, 7516. */
function isJwt(found: string): boolean {
  const [, payload = '', signature, content = ''] = found.split('.')
  return signature !== undefined && (payload.startsWith('eyJ') || (signature !== '' && content !== ''))
}

/** Base64 of `user:password`. Source: RFC 7617. */
function isUserAndPassword(found: string): boolean {
  const bytes = Buffer.from(found, 'base64')
  // biome-ignore lint/suspicious/noControlCharactersInRegex: a password has no control characters
  const isText = /^[^\u0000-\u001f\u007f\ufffd:]*:[^\u0000-\u001f\u007f\ufffd]*$/.test(bytes.toString())
  return isText && bytes.toString('base64').replace(/=+$/, '') === found.replace(/=+$/, '')
}

/** Secrets without a distinctive format, recognised by the key of their field. */
export const keyedSecrets: readonly { readonly name: string; readonly key: RegExp; readonly match: RegExp }[] = [
  {
    name: 'authorization',
    key: /^(?:proxy-)?authorization$/i,
    match: /(?<=^\s{0,4}(?:bearer|basic)\s{1,4})\S[^]*/i,
  },
  { name: 'aws-secret-key', key: /secret[_-]?access[_-]?key$/i, match: /^[A-Za-z0-9/+]{40}$/ },
]

/** Whether a text may contain any of them. */
export const mayHoldAny = (() => {
  const all = [...new Set(secrets.flatMap(({ hints }) => hints))]
  const rare = /(?:[_-]|\[_-\]|\\\.)$/
  const before = all.filter(each => rare.test(each))
  const others = all.filter(each => !rare.test(each))
  return new RegExp([`[-_.](?<=${before.join('|')})`, ...others].join('|'))
})()
