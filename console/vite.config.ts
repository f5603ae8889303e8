import { join } from 'node:path'
import react from '@vitejs/plugin-react'
import { defineConfig } from 'vite'

/** `npm run dev -w tidings-console` serves the sources, and passes requests on to the gateway of a running app. */
const gateway = process.env.TIDINGS_GATEWAY ?? 'http://localhost:4110'
const lib = (file: string) => join(import.meta.dirname, 'src/lib', file)

export default defineConfig(({ command }) => ({
  // Relative in a build, so that the console works below any prefix.
  base: command === 'serve' ? '/console/' : './',
  plugins: [react(), ...(command === 'serve' ? [baseElement] : [])],
  resolve: {
    alias: Object.fromEntries(['crypto', 'path', 'url', 'util'].map(name => [`node:${name}`, lib(`node-${name}.ts`)])),
  },
  build: { target: 'esnext', assetsInlineLimit: 0, modulePreload: { polyfill: false } },
  server: { proxy: { '^/(?!console/)': { target: gateway, ws: true } } },
}))

/** What the gateway adds to the page. */
const baseElement = {
  name: 'base-element',
  transformIndexHtml: () => [{ tag: 'base', attrs: { href: '/console/' }, injectTo: 'head-prepend' as const }],
}
