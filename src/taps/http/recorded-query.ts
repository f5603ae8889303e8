import { formFields } from '../../http/form-fields.ts'

const credential =
  /^(?:(?:access|id|refresh|auth|csrf|session)?[-_]?token|api[-_]?key|(?:client[-_]?)?secret|pass(?:word|wd)?|pwd|sig(?:nature)?|jwt|session(?:[-_]?id)?|x-amz-(?:signature|credential|security-token))$/i
const mark = '[redacted credential]'

/** The parameters of a query, without the values of those that are credentials by their name. */
export function recordedQuery(query: string): Record<string, string | string[]> {
  const fields = Object.entries(formFields(new URLSearchParams(query)))
  return Object.fromEntries(fields.map(([name, value]) => [name, credential.test(name) ? mark : value]))
}
