import { useState, type FormEvent } from 'react'
import { credential } from '../api/connection.ts'
import { Button } from '../ui/button.tsx'
import { FormRow } from '../ui/field.tsx'
import styles from './sign-in.module.css'

/** Asks for an API key or token. It stays in this tab. */
export function SignIn() {
  const [text, setText] = useState('')
  const wasRefused = credential.get() !== undefined
  const submit = (event: FormEvent) => {
    event.preventDefault()
    credential.set(text.trim())
    location.reload()
  }
  return (
    <main className={styles.page}>
      <form className={styles.form} onSubmit={submit}>
        <h1>Sign in to Tidings</h1>
        {wasRefused && (
          <p role="alert" className={styles.refused}>
            The gateway refused this credential. It may have been revoked, or have expired.
          </p>
        )}
        <FormRow label="API key or token" hint="Create a key with: tidings keys create. It is kept in this tab only.">
          <input
            type="password"
            autoComplete="off"
            autoFocus
            required
            value={text}
            onChange={event => setText(event.target.value)}
          />
        </FormRow>
        <Button type="submit" look="primary">
          Sign in
        </Button>
      </form>
    </main>
  )
}
