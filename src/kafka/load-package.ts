import { TidingsError } from '../errors.ts'

/** Loads an optional package. @throws E_KAFKA_MISSING */
export async function loadPackage<T>(load: () => Promise<T>, name: string, what: string): Promise<T> {
  try {
    return await load()
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw cause
    throw new TidingsError('E_KAFKA_MISSING', `${what} needs a package: npm install ${name}`, { cause })
  }
}
