import { tell } from './tell.js'

export default {
  async fetch(request) {
    const { searchParams: told } = new URL(request.url)
    return new Response(told.size === 0 ? 'ready' : await tell(told.get('url'), told.get('name'), told.get('count')))
  },
}
