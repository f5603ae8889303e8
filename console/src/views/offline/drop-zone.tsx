import { type DragEvent, type ReactNode, useRef, useState } from 'react'
import { Button } from '../../ui/button.tsx'
import { classes } from '../../ui/classes.ts'
import styles from './offline.module.css'

interface DropZoneProps {
  readonly onFile: (file: File) => void
  readonly children: ReactNode
}

/** A page that takes a file which is dropped anywhere on it. */
export function DropZone({ onFile, children }: DropZoneProps) {
  const [isOver, setOver] = useState(false)
  const depth = useRef(0)
  const enter = (by: number) => (event: DragEvent) => {
    event.preventDefault()
    depth.current += by
    setOver(depth.current > 0)
  }
  return (
    <div
      className={styles.zone}
      onDragEnter={enter(1)}
      onDragLeave={enter(-1)}
      onDragOver={event => event.preventDefault()}
      onDrop={event => {
        event.preventDefault()
        depth.current = 0
        setOver(false)
        const file = event.dataTransfer.files[0]
        if (file) onFile(file)
      }}
    >
      {children}
      {isOver && <div className={styles.over}>Drop the slice to open it</div>}
    </div>
  )
}

/** A button that lets a person choose a file. */
export function FileButton({ onFile, primary = false }: { onFile: (file: File) => void; primary?: boolean }) {
  const input = useRef<HTMLInputElement>(null)
  return (
    <>
      <Button {...(primary && { look: 'primary' as const })} onClick={() => input.current?.click()}>
        Choose a file
      </Button>
      <input
        ref={input}
        type="file"
        className={classes('visually-hidden')}
        tabIndex={-1}
        aria-label="A slice: a file that tidings export wrote"
        onChange={event => {
          const file = event.target.files?.[0]
          if (file) onFile(file)
          event.target.value = ''
        }}
      />
    </>
  )
}
