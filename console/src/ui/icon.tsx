/* Icons of 16 px, drawn with one stroke in the colour of the text. */

const paths = {
  live: 'M2 8h3l2-5 3 10 2-5h2',
  trace: 'M3 3v10M3 5h6M3 9h9M3 13h4',
  tasks: 'M3 4h1M3 8h1M3 12h1M7 4h6M7 8h6M7 12h6',
  workflow: 'M3 2.5h4v3H3zM9 10.5h4v3H9zM5 5.5v6.5h4',
  inbox: 'M2 9l2-6h8l2 6v4H2zM2 9h3.5l1 2h3l1-2H14',
  health: 'M8 14S2 10.5 2 6.2A3.2 3.2 0 0 1 8 4.5a3.2 3.2 0 0 1 6 1.7C14 10.5 8 14 8 14z',
  operations:
    'M8 5.5a2.5 2.5 0 1 0 0 5 2.5 2.5 0 0 0 0-5zM8 1.5v2M8 12.5v2M1.5 8h2M12.5 8h2M3.4 3.4l1.4 1.4M11.2 11.2l1.4 1.4M3.4 12.6l1.4-1.4M11.2 4.8l1.4-1.4',
  ask: 'M2.5 3h11v8H7l-3 2.5V11H2.5z',
  search: 'M7 2.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9zM10.5 10.5 14 14',
  close: 'M4 4l8 8M12 4l-8 8',
  copy: 'M5.5 5.5h7v8h-7zM3.5 10.5v-8h7',
  check: 'M3 8.5l3.5 3.5L13 4.5',
  down: 'M4 6l4 4 4-4',
  right: 'M6 4l4 4-4 4',
  up: 'M4 10l4-4 4 4',
  pause: 'M5.5 3.5v9M10.5 3.5v9',
  play: 'M5 3l8 5-8 5z',
  retry: 'M13 8a5 5 0 1 1-1.5-3.5M13 2v3h-3',
  cancel: 'M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2zM4 4l8 8',
  fork: 'M4 2v12M4 9c5 0 8-1 8-6M10 4.5L12 2.5l2 2',
  link: 'M6.5 9.5l3-3M7 5l1.5-1.5a2.5 2.5 0 0 1 4 4L11 9M9 11l-1.5 1.5a2.5 2.5 0 0 1-4-4L5 7',
  sun: 'M8 5a3 3 0 1 0 0 6 3 3 0 0 0 0-6zM8 1v1.5M8 13.5V15M1 8h1.5M13.5 8H15M3 3l1 1M12 12l1 1M3 13l1-1M12 4l1-1',
  moon: 'M13 9.5A5.5 5.5 0 0 1 6.5 3 5.5 5.5 0 1 0 13 9.5z',
  clock: 'M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2zM8 5v3l2 1.5',
  file: 'M4 2h5l3 3v9H4zM9 2v3h3',
  filter: 'M2 3h12l-4.5 5.5V13l-3-1.5v-3z',
  more: 'M3.5 8h.01M8 8h.01M12.5 8h.01',
  warning: 'M8 2l6.5 11.5h-13zM8 6.5v3M8 11.5v.01',
  send: 'M2 8l12-6-4 12-2.5-5z',
  download: 'M8 2v8M4.5 7L8 10.5 11.5 7M3 13.5h10',
  external: 'M6 3H3v10h10v-3M9 3h4v4M13 3L7.5 8.5',
  user: 'M8 2.5a2.5 2.5 0 1 0 0 5 2.5 2.5 0 0 0 0-5zM3 14c0-3 2-4.5 5-4.5s5 1.5 5 4.5',
  plus: 'M8 3v10M3 8h10',
} as const

export type IconName = keyof typeof paths

export function Icon({ name, size = 16 }: { name: IconName; size?: number }) {
  return (
    <svg
      width={size}
      height={size}
      viewBox="0 0 16 16"
      fill="none"
      stroke="currentColor"
      strokeWidth={1.5}
      strokeLinecap="round"
      strokeLinejoin="round"
      aria-hidden="true"
      style={{ flex: 'none' }}
    >
      <path d={paths[name]} />
    </svg>
  )
}
