const [users = '40', atOnce = users] = process.argv.slice(2)
const waiting = Array.from({ length: Number(users) }, (_, i) => `user-${i}`)
const outcomes: string[] = []

async function order(user: string): Promise<string> {
  const response = await fetch('http://127.0.0.1:4600/reports', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ user, topic: 'tea' }),
    signal: AbortSignal.timeout(5_000),
  })
  if (response.status === 202) return follow(response.headers.get('location')!)
  return response.ok ? 'got a report' : 'got an error'
}

async function follow(task: string): Promise<string> {
  const response = await fetch(task, { headers: { prefer: 'wait=60' } })
  const { status } = (await response.json()) as { status: string }
  return status === 'completed' ? 'got a report after an acknowledgement' : `has a task that is ${status}`
}

async function orderOneByOne() {
  for (let user = waiting.shift(); user; user = waiting.shift()) {
    outcomes.push(await order(user).catch(() => 'gave up'))
  }
}

await Promise.all(Array.from({ length: Number(atOnce) }, orderOneByOne))
for (const outcome of new Set(outcomes)) console.log(outcomes.filter(each => each === outcome).length, outcome)
