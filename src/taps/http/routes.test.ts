import { expect, test } from 'vitest'
import { Routes } from './routes.ts'

test('the first route that matches counts, with the decoded segments that it names', () => {
  const routes = new Routes(['post /reports', 'GET /reports/:id', '/files/:folder/*', 'GET /', 'GET /a%20b'])
  const found = (method: string, path: string) => routes.match(method, path)
  expect(found('POST', '/reports')).toEqual({ route: 'POST /reports', params: {} })
  expect(found('POST', '/reports/')).toEqual({ route: 'POST /reports', params: {} })
  expect(found('GET', '/reports/a%20b%2Fc')).toEqual({ route: 'GET /reports/:id', params: { id: 'a b/c' } })
  expect(found('GET', '/reports/%ff')).toEqual({ route: 'GET /reports/:id', params: { id: '%ff' } })
  expect(found('PUT', '/files/x/y/z')).toEqual({ route: 'PUT /files/:folder/*', params: { folder: 'x', '*': 'y/z' } })
  expect(found('PUT', '/files/x')).toEqual({ route: 'PUT /files/:folder/*', params: { folder: 'x', '*': '' } })
  expect(found('GET', '/')).toEqual({ route: 'GET /', params: {} })
  expect(found('GET', '/a b')?.route).toBe('GET /a%20b')
  for (const [method, path] of [
    ['GET', '/reports'],
    ['PUT', '/files'],
    ['GET', '/reports/1/2'],
    ['GET', ''],
  ] as const)
    expect([path, found(method, path)?.route === 'GET /' ? undefined : found(method, path)]).toEqual([path, undefined])
})

test('other texts are refused', () => {
  for (const text of ['', 'reports', 'GET reports', 'GET /a/:', '/:a/:a', '/*/a', 'GET  POST /a', 'GET /a?b=1#'])
    expect(() => new Routes([text]), text).toThrow(`"${text}" is not a route`)
})
