import type { CloudEvent } from '../../../../src/event.ts'
import { gatewayUrl } from '../../api/connection.ts'
import { Button } from '../../ui/button.tsx'
import { Icon } from '../../ui/icon.tsx'
import { Menu, MenuItem } from '../../ui/menu.tsx'
import { notify } from '../../ui/toasts.tsx'

/** Copies an event as JSON, as a request that publishes it, or as a test. */
export function CopyMenu({ event }: { event: CloudEvent }) {
  const copy = async (what: string, text: string) => {
    await navigator.clipboard.writeText(text)
    notify(`Copied ${what}`)
  }
  return (
    <Menu
      trigger={
        <Button look="quiet" icon aria-label="Copy the event">
          <Icon name="copy" />
        </Button>
      }
    >
      <MenuItem onClick={() => void copy('the event as JSON', JSON.stringify(event, undefined, 2))}>As JSON</MenuItem>
      <MenuItem onClick={() => void copy('a curl command', curlOf(event))}>As curl</MenuItem>
      <MenuItem onClick={() => void copy('a test fixture', fixtureOf(event))}>As test fixture</MenuItem>
      <MenuItem onClick={() => void copy('the id', event.id)}>Id</MenuItem>
    </Menu>
  )
}

/** A command that publishes an event like this one. */
function curlOf({ type, subject, data }: CloudEvent): string {
  const body = JSON.stringify({ type, ...(subject !== undefined && { subject }), data })
  return `curl --json '${body.replaceAll("'", String.raw`'\''`)}' ${new URL('events', gatewayUrl).href}`
}

/** A test that publishes the event to an app: docs/testing.md. */
function fixtureOf({ type, subject, data }: CloudEvent): string {
  const draft = JSON.stringify({ type, ...(subject !== undefined && { subject }), data }, undefined, 2)
  return `import { testApp } from 'tidings/testing'\nimport app from './app.ts'\n\nawait using tested = await testApp(app)\nawait tested.publish(${draft})\n`
}
