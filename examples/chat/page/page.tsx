import { useChat } from '@ai-sdk/react'
import { DefaultChatTransport, lastAssistantMessageIsCompleteWithApprovalResponses as isAnswered } from 'ai'
import { createRoot } from 'react-dom/client'
import { Composer, Conversation } from './parts.tsx'

const api = '/ui/chat/shop-assistant' // the agent "shop-assistant"
const id = (location.hash ||= `#${crypto.randomUUID()}`).slice(1) // the chat: its name stays in the address
const { messages: earlier } = await (await fetch(`${api}/${id}`)).json()

function Page() {
  const { messages, status, error, sendMessage, stop, resumeStream, addToolApprovalResponse } = useChat({
    id,
    messages: earlier,
    resume: true,
    transport: new DefaultChatTransport({ api }),
    sendAutomaticallyWhen: isAnswered,
    onFinish: ({ isDisconnect }) => void (isDisconnect && resumeStream()),
  })
  const cancel = () => void Promise.all([fetch(`${api}/${id}`, { method: 'DELETE' }), stop()])
  return (
    <Conversation messages={messages} error={error} answer={addToolApprovalResponse}>
      <Composer isBusy={status !== 'ready'} send={text => void sendMessage({ text })} cancel={cancel} />
    </Conversation>
  )
}

createRoot(document.getElementById('page')!).render(<Page />)
