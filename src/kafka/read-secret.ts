import { readFileSync } from 'node:fs'
import { TidingsError } from '../errors.ts'

/** The text of a file that an option of the address names. @throws E_SETTING_INVALID */
export function readSecret(name: string, path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    throw new TidingsError('E_SETTING_INVALID', `the address of Kafka: the file of ${name} cannot be read: ${path}`, {
      cause,
    })
  }
}
