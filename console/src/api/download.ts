import { credential } from './connection.ts'
import { refuse } from '../../../src/client/errors.ts'

/** Saves what the gateway answers as a file, with the credential of the person. @throws ClientError */
export async function download(url: URL, name: string): Promise<void> {
  const token = credential.get()
  const response = await fetch(url, token === undefined ? {} : { headers: { authorization: `Bearer ${token}` } })
  if (!response.ok) return refuse(response)
  saveFile(await response.blob(), name)
}

export function saveFile(blob: Blob, name: string): void {
  const link = document.createElement('a')
  link.href = URL.createObjectURL(blob)
  link.download = name
  link.click()
  // The browser has taken it over by then.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000)
}
