/** The question that the desk suggests: the documents of any checkout answer it, also for the offline model. */
export const suggestion = 'How does croner treat daylight saving time?'
