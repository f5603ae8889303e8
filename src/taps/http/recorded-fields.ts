import { formFields } from '../../http/form-fields.ts'
import { credentialMark, isCredentialParameter } from '../credentials.ts'

/** The parameters of a query or the fields of a form, without the values of those that are credentials by their name. */
export function recordedFields(text: string): Record<string, string | string[]> {
  const fields = Object.entries(formFields(new URLSearchParams(text)))
  return Object.fromEntries(fields.map(([name, value]) => [name, isCredentialParameter(name) ? credentialMark : value]))
}
