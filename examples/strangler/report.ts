export interface ReportRequest {
  user: string
  topic: string
}

export interface Report {
  title: string
  sections: string[]
  createdAt: string
}

export const sections = ['Summary', 'Market', 'Risks', 'Outlook']

export async function generateReport({ topic }: ReportRequest): Promise<Report> {
  const written: string[] = []
  for (const section of sections) written.push(await write(`${section} of ${topic}`))
  return { title: `Report on ${topic}`, sections: written, createdAt: new Date().toISOString() }
}

export async function write(prompt: string): Promise<string> {
  const response = await fetch(`${process.env.OPENAI_BASE_URL}/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${process.env.OPENAI_API_KEY}` },
    body: JSON.stringify({ model: 'gpt-5', messages: [{ role: 'user', content: prompt }] }),
  })
  if (!response.ok) throw new Error(`the model answered ${response.status}`)
  const { choices } = (await response.json()) as { choices: { message: { content: string } }[] }
  return choices[0]!.message.content
}
