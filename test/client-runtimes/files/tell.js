import { createClient } from './client.js'
import { story } from './story.js'

/** The story, as JSON. */
export const tell = async (url, name, count) => JSON.stringify(await story(createClient, url, name, Number(count)))
