/*
 * What every runtime does with the client. `count` events are published one by one while a stream reads them, and the gateway is killed and
 * started again in between.
 */
export async function story(createClient, url, name, count) {
  const client = createClient({ url })
  const task = await client.ask('writer', `This is ${name}.`)
  let text = ''
  for await (const part of task.stream()) if (part.type === 'text') text += part.text
  const seen = []
  const publishing = (async () => {
    for (let n = 0; n < count; n++) await client.publish(`${name}.counted`, n)
  })()
  for await (const { event } of client.stream({ type: `${name}.counted`, after: '0' }))
    if (seen.push(event.data) === count) break
  await publishing
  client.close()
  return { text, result: await task.result(), seen }
}
