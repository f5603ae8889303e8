import fc from 'fast-check'
import { planted, type Planted } from './secrets.ts'

/*
 * Secrets, each of which is said at one place only. Found again, it tells which door leaks. The words are those of the app in
 * canary-app.ts and of the doors in sweep.test.ts.
 */

const hex = fc.string({ unit: fc.constantFrom(...'bcdfghjkmnpqrstvwxz'.split('')), minLength: 18, maxLength: 18 })
const whole = (secret: fc.Arbitrary<string>) => secret.map(text => ({ text, clear: [text] }))

/** In lower case, as a type and a tenant are. */
const lower = whole(hex.map(text => `glpat-${text}7q2m4k`))
/** What only a declared path hides. */
const path = whole(hex)
/** What only a declared pattern hides. */
const staff = whole(fc.integer({ min: 100_000_000, max: 999_999_999 }).map(n => `E${n}`))

const known = (name: string) => planted[name]!
const tokens = [
  'github-token', 'anthropic-key', 'openai-key', 'gitlab-token', 'slack-token', 'stripe-key', 'google-key', 'google-oauth',
  'huggingface-token', 'pypi-token', 'docker-token', 'sendgrid-key', 'vault-token', 'age-key', 'nkey-seed', 'jwt', 'aws-key-id',
  'aws-session-token',
].map(known) // biome-ignore format: one list
let next = 0
/** Of the kinds that are one word, the next one. */
const token = () => tokens[next++ % tokens.length]!

const kinds = {
  // POST /events, and what is refused there
  httpData: token(), httpKey: token(), httpDeep: known('url-password'), httpSubject: token(), httpTaskSubject: lower,
  httpLarge: known('private-key'), httpCard: path, httpPin: path, httpStaff: staff, httpInText: known('private-key'),
  httpAttribute: token(), httpLast: token(), httpApproval: token(), httpComment: token(), httpTrace: token(), httpBase64: token(),
  httpType: lower, httpId: token(), httpTarget: token(), httpMissing: token(), httpStream: token(), httpMalformed: token(),
  // the command line
  cliData: known('bearer-token'), cliId: token(), cliType: lower, cliTarget: token(), cliPause: token(), cliReason: token(),
  cliComment: token(), cliCorrelation: token(), cliTrace: token(), cliFind: token(),
  // mail
  mailText: known('basic-credentials'), mailSubject: token(), mailHtml: token(), mailFile: known('aws-secret-key'),
  mailFilename: token(), mailHeader: token(), mailName: token(), mailTo: lower, mailHelo: path,
  // webhooks
  hookData: token(), hookSecret: path, hookCard: path, hookHeader: token(), hookEscaped: known('url-password'),
  hookForm: known('bearer-token'), hookText: token(), hookQuery: token(), hookRefused: token(),
  // MQTT
  mqttPayload: token(), mqttText: known('url-password'), mqttTopic: token(), mqttBytes: token(), mqttRefused: token(),
  // files and schedules
  fileName: token(), fileContent: known('private-key'), fileOdd: token(), fileStaff: staff, scheduleData: token(), busPassword: path,
  // tools
  toolDescription: token(), toolOutput: token(), toolOutputKey: token(), toolPin: path, toolProgress: token(),
  toolError: token(), toolCause: known('url-password'), toolCode: token(), toolStack: token(),
  attentionReason: token(), approvalInput: token(),
  // models
  modelText: known('anthropic-key'), modelReasoning: token(), modelArguments: token(), modelInstructions: token(),
  modelTool: token(), modelCall: token(), modelResponse: token(), modelSource: token(), modelFile: known('private-key'),
  modelWarning: token(), modelRawFinish: token(), modelMetadata: token(), modelError: known('bearer-token'),
  // agents and workflows
  agentState: known('private-key'), agentOutput: token(), agentCall: token(), agentCallKey: token(), agentEmitKey: token(),
  agentTarget: token(), agentSleepKey: token(), agentEmitSubject: token(), agentEmitType: lower, agentThrow: token(), agentConsole: token(), approvalWhat: token(), flowData: token(),
  flowCard: path,
} // biome-ignore format: by door

export type Place = keyof typeof kinds
export const places = Object.keys(kinds) as Place[]

export const canaries = Object.fromEntries(
  places.map((place, seed) => [place, fc.sample(kinds[place], { numRuns: 1, seed: seed + 7 })[0]!]),
) as Record<Place, Planted>

/** The same bytes as they may stand in a file: as they are, escaped, in a URL, in Base64 at any offset, in hex. */
function notationsOf(text: string): string[] {
  const base64 = [0, 1, 2].map(offset => {
    const encoded = Buffer.concat([Buffer.alloc(offset), Buffer.from(text)]).toString('base64')
    // The first and the last characters depend on what stands beside it.
    return encoded.slice(offset === 0 ? 0 : 4, -4)
  })
  const escaped = JSON.stringify(text).slice(1, -1)
  return [...new Set([text, escaped, encodeURIComponent(text), ...base64, Buffer.from(text).toString('hex')])]
}

const wanted = places.flatMap(place => canaries[place].clear.flatMap(notationsOf).map(text => ({ place, text })))

/** Which canaries are found, and where: `disk: httpData`. */
export function findCanaries(seen: Readonly<Record<string, string>>): string[] {
  const found = Object.entries(seen).flatMap(([where, all]) =>
    wanted.filter(({ text }) => all.includes(text)).map(({ place }) => `${where}: ${place}`),
  )
  return [...new Set(found)]
}
