import { useState } from 'react'
import { createRoot } from 'react-dom/client'
import { createClient } from '../../../src/client/index.ts'
import { useEvents, useTask } from '../../../src/react/index.ts'

const client = createClient({ url: location.origin, storage: localStorage })

function Page() {
  const [kept, keep] = useState(() => sessionStorage.getItem('task') ?? undefined)
  const { ask, say, cancel, status, id, parts, output, error } = useTask<string>(client, 'writer', kept)
  const { events } = useEvents(client, { type: 'count.made', after: '0' }, 3)
  return (
    <>
      <button onClick={() => void ask('A story, please.')}>Ask</button>
      <button onClick={() => void say('Shorter.')}>Say</button>
      <button onClick={() => void cancel('enough')}>Cancel</button>
      <button
        onClick={() => {
          sessionStorage.setItem('task', id!)
          keep(id)
        }}
      >
        Keep
      </button>
      <button onClick={() => void client.publish('count.made', events.length)}>Count</button>
      <p id="status">{status}</p>
      <p id="text">{parts.map(part => (part.type === 'text' ? part.text : ''))}</p>
      <p id="output">{output}</p>
      <p id="error">{error?.code}</p>
      <p id="events">{events.map(({ data }) => String(data)).join()}</p>
    </>
  )
}

createRoot(document.getElementById('page')!).render(<Page />)
