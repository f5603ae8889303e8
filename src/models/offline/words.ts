/**
 * Words, and the concepts of a question, which a text about it must contain. A concept has several written forms ("DST",
 * "daylight saving time"). A named concept, such as an identifier or a proper noun, is required.
 */
export interface Concept {
  readonly label: string
  /** Stemmed token sequences; any of them matches. */
  readonly forms: readonly string[]
  readonly named: boolean
  readonly synonyms: readonly string[]
  readonly near: readonly string[]
}

/** Each row: forms of one concept; after the bar, related terms. */
const thesaurus = `
daylight saving time, DST, daylight savings, summer time | time zone
time zone, timezone, TZ | UTC offset
server-sent events, SSE | event stream
regular expression, regex, regexp
environment variable, env var | configuration
command line, CLI | options
dead letter, DLQ | retry
time to live, TTL | expiry
JSON web token, JWT | authentication
identifier, ID
database, DB | storage
configuration, config | options
authentication, auth | credentials
typescript, TS | types
javascript, JS
websocket, WS | connection
documentation, docs
asynchronous, async | promise
command, CLI command
dependency, dependencies
`
  .trim()
  .split('\n')
  .map(row => {
    const [forms = '', near = ''] = row.split('|')
    const list = (text: string) =>
      text
        .split(',')
        .map(part => part.trim())
        .filter(part => part !== '')
    return { labels: list(forms), forms: list(forms).map(stems), near: list(near) }
  })

/** Words without a meaning of their own. */
const stopWords = new Set(
  `a an the this that these those it its is are was were be been being am do does did done doing has have had having
  can could shall should will would may might must i you he she we they me him her us them my your his our their who
  whom whose which what when where why how there here of in on at by for with without from to into onto over under
  about between through during before after above below up down out off again then than so if else and or nor not no
  but as because while until very too also just only own same such both each few more most other some any all please
  hello hi dear thanks thank regards tell explain describe show list give find say says said compare summarize
  summarise let know one sure s t d ll re ve`.split(/\s+/),
)

/** Words too common in questions to identify the topic. */
const weakWords = new Set(
  `treat handle handling work works use using used usage support make get set do deal manage behave happen happens
  way ways thing things mean means need want good best better like kind type exactly possible able difference
  different detail details information question answer document documents options example examples`
    .split(/\s+/)
    .map(stem),
)

/** Words so common in texts that a match means little. */
const broadWords = new Set(
  `time file data value code function run new name number string object user text line list case second minute hour day
  type error event call set key test build start end first last change read write server client`
    .split(/\s+/)
    .map(stems),
)

const verbs = /^(?:does|do|did|can|should|will)$/i
const prepositions = /^(?:in|of|with|for|from|by|via)$/i
const openers = /^(?:how|what|which|when|where|why|who|whose|does|do|did|can|could|should|is|are)$/i

function tokens(text: string): string[] {
  return text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? []
}

/** An index of a text for looking up forms: its stems, with spaces around each. */
export function stems(text: string): string {
  return ` ${tokens(text).map(stem).join(' ')} `
}

/** A light stemmer, which maps the forms of a word to one stem. */
function stem(word: string): string {
  if (word.length < 4) return word
  const base = word
    .replace(/(?:ies|ied)$/, 'y')
    .replace(/(?<!s)s$/, '')
    .replace(/(?:ing|ed|ly|(?:at)?ion)$/, '')
  const kept = base.length < 3 ? word : base
  return kept.replace(/e$/, '').replace(/([^aeiouls])\1$/, '$1')
}

/** How often a concept occurs in an index made by {@link stems}. */
export function occurrences(concept: Concept, index: string): number {
  return Math.max(...concept.forms.map(form => index.split(form).length - 1))
}

export function occurs(concept: Concept, index: string): boolean {
  return concept.forms.some(form => index.includes(form))
}

export function isBroad(concept: Concept): boolean {
  return concept.forms.every(form => broadWords.has(form))
}

/** The concepts of a question, in its order. The text before a colon is its subject, and counts as named. */
export function concepts(question: string): Concept[] {
  const colon = /^([^:?!.\n]{1,40}):\s/.exec(question)?.[1]
  const subject = stems(colon ?? '')
  const words = question.match(/[\p{L}\p{N}@][\p{L}\p{N}._/@-]*[\p{L}\p{N}]|[\p{L}\p{N}]/gu) ?? []
  const found: Concept[] = []
  for (let i = 0; i < words.length; ) {
    const phrase = phraseAt(words, i)
    const concept = phrase?.concept ?? wordConcept(words, i, question, subject)
    if (concept && !found.some(other => other.forms[0] === concept.forms[0])) found.push(concept)
    i += phrase?.length ?? 1
  }
  return found
}

function phraseAt(words: readonly string[], at: number): { concept: Concept; length: number } | undefined {
  for (let length = Math.min(4, words.length - at); length > 0; length--) {
    const label = words.slice(at, at + length).join(' ')
    const row = thesaurus.find(({ forms }) => forms.includes(stems(label)))
    if (!row) continue
    const synonyms = row.labels.filter(other => stems(other) !== stems(label))
    return { concept: { label, forms: row.forms, named: false, synonyms, near: row.near }, length }
  }
  return undefined
}

function wordConcept(words: readonly string[], at: number, question: string, subject: string): Concept | undefined {
  const word = words[at] ?? ''
  const lower = word.toLowerCase()
  if (stopWords.has(lower) || weakWords.has(stem(lower)) || /^\p{L}{4,}ly$/u.test(lower)) return undefined
  const form = stems(word)
  const named = subject.includes(form) || isNamed(words, at, question)
  return { label: word, forms: [form], named, synonyms: [], near: [] }
}

/** Written like a name, or in the position of one: without an article after a verb or preposition ("does croner", "in hono"). */
function isNamed(words: readonly string[], at: number, question: string): boolean {
  const word = words[at] ?? ''
  const before = words[at - 1]
  if (/\d|\p{L}[._/@-]\p{L}|^@|\p{Ll}\p{Lu}|^\p{Lu}{2,}$/u.test(word)) return true
  if (question.includes(`\`${word}\``) || question.includes(`"${word}"`)) return true
  if (before === undefined) return false
  if (/^\p{Lu}/u.test(word)) return !/[.?!:]\s*$/.test(question.slice(0, question.indexOf(word)))
  if (/[^s]s$/.test(word)) return false
  if (verbs.test(before) || (/^(?:is|are)$/i.test(before) && at <= 2)) return true
  if (/^(?:and|or|vs|versus)$/i.test(before) && at > 1) return isNamed(words, at - 2, question)
  const closes = stopWords.has(words[at + 1]?.toLowerCase() ?? 'a')
  return closes && prepositions.test(before) && openers.test(words[0] ?? '')
}
