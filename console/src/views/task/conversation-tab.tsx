import { useMemo } from 'react'
import { Feed } from '../../ui/feed.tsx'
import { ApprovalsOf } from './approvals.tsx'
import { LiveAnswer } from './answer-item.tsx'
import { ChatTurn } from './chat.tsx'
import { conversationOf } from './conversation.ts'
import type { LiveTexts } from './task-stream.ts'
import { missingText, type TaskView } from './use-task.ts'
import styles from './chat.module.css'

/** The task as a chat: it opens at the newest turn, and shows text while it is generated. */
export function ConversationTab({ view, texts }: { view: TaskView; texts: LiveTexts }) {
  const { about, turns, isGone, want } = view
  const { task, total, program, ended } = about
  const conversation = useMemo(() => conversationOf(turns.values()), [turns])
  const writing = about.open.filter(({ type }) => type === 'model.invoke')
  return (
    <ApprovalsOf task={task}>
      <Feed
        label="Conversation"
        count={total + writing.length}
        estimate={88}
        padding={14}
        keyOf={index => writing[index - total]?.id ?? index + 1}
        onRange={(first, last) => want(first + 1, last + 1)}
      >
        {index => {
          const call = writing[index - total]
          if (call) return <LiveAnswer program={program} model={call.target} parts={texts.get(call.id) ?? []} />
          const items = conversation.get(index + 1)
          if (items) return <ChatTurn items={items} program={program} ended={ended !== undefined} />
          return <p className={styles.placeholder}>{missingText(index + 1, isGone)}</p>
        }}
      </Feed>
    </ApprovalsOf>
  )
}
