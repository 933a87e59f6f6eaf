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
    } else if (request.url === '/broken') {
      response.writeHead(200, { 'Content-Length': 10 }).write('short')
      setImmediate(() => response.destroy())
    } else if (request.url !== '/silent') {
      const chunks: Buffer[] = []
      request.on('data', (chunk: Buffer) => chunks.push(chunk))
      request.on('end', () => {
        const told = `${request.method} ${request.headers.accept} ${Buffer.concat(chunks)} ü`
        response.writeHead(404, { 'X-Twice': ['a', 'b'] }).end(told)
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
  const { status, headers, body } = await nodeHttpClient(url, request)
  t.same([status, `${body}`], [404, 'POST text/plain {} ü'])
  t.equal(headers['x-twice'], 'a, b')
  const get = { method: 'GET', headers: {} }
  t.match(await nodeHttpClient(`${url}/moved`, get), { status: 302, headers: { location: '/' } })
  await t.rejects(nodeHttpClient(`${url}/endless`, get), /more than 8388608 bytes/)
  const bounded = { ...get, answerBytesMax: 10, answerMsMax: 200 }
  await t.rejects(nodeHttpClient(url, bounded), /more than 10 bytes/)
  await t.rejects(nodeHttpClient(`${url}/silent`, bounded), { code: 'ETIMEDOUT' })
  await t.rejects(nodeHttpClient(`${url}/broken`, get), { code: 'ECONNRESET' })
  const bytes = { method: 'PUT', headers: { Accept: '*' }, body: Buffer.from('bytes') }
  t.equal(`${(await nodeHttpClient(url, bytes)).body}`, 'PUT * bytes ü')
  t.ok(sent < 2 ** 28, `${sent} bytes were sent`)
})
