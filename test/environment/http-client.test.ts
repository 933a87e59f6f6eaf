/** Requests over HTTP: what is sent and what comes back, and that nobody's answer takes all memory. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { nodeHttpClient } from '../../src/environment/node/http-client.ts'

t.test('an answer as it came, and none that is too long or from elsewhere', async (t) => {
  let sent = 0
  const server = createServer((request, response) => {
    if (request.url === '/moved') {
      response.writeHead(302, { Location: '/' }).end()
    } else if (request.url === '/endless') {
      const chunk = Buffer.alloc(1024 * 1024)
      const goOn = () => {
        do sent += chunk.length
        while (response.write(chunk) && sent < 2 ** 30)
      }
      response.on('drain', goOn).on('error', () => undefined)
      goOn()
    } else {
      const chunks: Buffer[] = []
      request.on('data', (chunk: Buffer) => chunks.push(chunk))
      request.on('end', () => {
        const told = `${request.method} ${request.headers.accept} ${Buffer.concat(chunks)} ü`
        response.writeHead(404).end(told)
      })
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const request = { method: 'POST', headers: { Accept: 'text/plain' }, body: '{}' }
  t.same(await nodeHttpClient(url, request), { status: 404, body: 'POST text/plain {} ü' })
  const get = { method: 'GET', headers: {} }
  await t.rejects(nodeHttpClient(`${url}/moved`, get))
  await t.rejects(nodeHttpClient(`${url}/endless`, get), /more than 8388608 bytes/)
  t.ok(sent < 2 ** 28, `${sent} bytes were sent`)
})
