/** The HTTP listener: routes, bodies and their limits, errors as JSON, services that load when asked. */
import { connect } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
import { listenHttp } from '../../src/environment/node/http-listener.ts'
import {
  type HttpServer,
  parseListener,
  type Service,
  startHttpServer,
} from '../../src/http/http-server.ts'
import { empty, HttpError, json, route, routeTable } from '../../src/http/routes.ts'

interface Loads {
  count: number
  fails: boolean
}

function trial(loads: Loads): Service {
  const answering = routeTable(
    [
      route('GET', '/things', ({ query }) => json(200, { named: query.getAll('name') })),
      route('POST', '/things', ({ json: body }) => json(201, body(), { Location: '/things/new' })),
      route('GET', '/things/{name}/parts/{part}', ({ parameters }) => json(200, parameters)),
      route('GET', '/things/{name}', ({ parameters: { name } }) =>
        json(200, {}, { Location: `/things/${name}` }),
      ),
      route('DELETE', '/things/{name}', () => empty(204)),
      route('PUT', '/things/{name}', ({ parameters: { name } }) => {
        if (name === 'kafka') throw new HttpError(422, 'not that one', { code: 42201 })
        if (name === 'known') throw new RangeError('out of range')
        throw new Error('a bug')
      }),
    ],
    {
      explain: (error) =>
        error instanceof RangeError ? new HttpError(400, error.message) : undefined,
    },
  )
  return {
    segments: ['things'],
    bodyBytesMax: 1000,
    load: async () => {
      loads.count++
      if (loads.fails) throw new Error('not now')
      return answering
    },
  }
}

async function start(loads: Loads): Promise<{ server: HttpServer; url: string }> {
  const server = await startHttpServer(listenHttp, { host: '127.0.0.1', port: 0 }, [trial(loads)])
  return { server, url: `http://127.0.0.1:${server.address.port}` }
}

const jsonHeaders = { 'content-type': 'application/json' }

/** What a peer that speaks no better gets, until it is cut. */
function raw(port: number, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(text))
    let received = ''
    socket.on('data', (chunk) => {
      received += chunk.toString()
    })
    socket.on('close', () => resolve(received))
    socket.on('error', reject)
  })
}

t.test('an address is a URL with a port', async (t) => {
  t.strictSame(parseListener('http://[::1]:65535'), { host: '::1', port: 65535 })
  for (const bad of ['http://a', 'https://a:1', 'http://a:70000', 'a:1']) {
    t.equal(parseListener(bad), null, bad)
  }
})

t.test('a service is loaded when it is asked for, and again where that failed', async (t) => {
  const loads = { count: 0, fails: true }
  const { server, url } = await start(loads)
  t.teardown(() => server.close())
  const nowhere = await fetch(`${url}/elsewhere`)
  t.equal(nowhere.status, 404)
  t.match(await nowhere.json(), { error_code: 404, message: /\/things/ })
  t.equal(loads.count, 0)
  const early = await fetch(`${url}/things`)
  t.equal(early.status, 500)
  t.strictSame(await early.json(), { error_code: 500, message: 'not now' })
  loads.fails = false
  t.equal((await fetch(`${url}/things`)).status, 200)
  t.equal((await fetch(`${url}/things/`)).status, 200)
  t.equal(loads.count, 2)
})

t.test('rows of the table', async (t) => {
  const { server, url } = await start({ count: 0, fails: false })
  t.teardown(() => server.close())
  const listed = await fetch(`${url}/things?name=a&name=b%20c`)
  t.equal(listed.headers.get('content-type'), 'application/json')
  t.strictSame(await listed.json(), { named: ['a', 'b c'] })
  const head = await fetch(`${url}/things`, { method: 'HEAD' })
  t.equal(head.status, 200)
  t.equal(head.headers.get('content-length'), '12')
  t.equal(await head.text(), '')
  const part = await fetch(`${url}/things/a%2Fb/parts/%C3%A9`)
  t.strictSame(await part.json(), { name: 'a/b', part: 'é' })
  const made = await fetch(`${url}/things`, { method: 'POST', headers: jsonHeaders, body: '[1]' })
  t.equal(made.status, 201)
  t.equal(made.headers.get('location'), '/things/new')
  t.strictSame(await made.json(), [1])
  const gone = await fetch(`${url}/things/a`, { method: 'DELETE' })
  t.equal(gone.status, 204)
  t.equal(await gone.text(), '')
})

t.test('what is wrong is said', async (t) => {
  const { server, url } = await start({ count: 0, fails: false })
  t.teardown(() => server.close())
  const post = (body: string | Buffer, type = 'application/json') =>
    fetch(`${url}/things`, { method: 'POST', headers: { 'content-type': type }, body })
  const method = await fetch(`${url}/things`, { method: 'PATCH' })
  t.equal(method.status, 405)
  t.equal(method.headers.get('allow'), 'GET, POST, HEAD')
  t.match(await method.json(), { error_code: 405 })
  t.equal((await fetch(`${url}/things/a/b`)).status, 404)
  t.equal((await fetch(`${url}/things/%ff/parts/1`)).status, 400)
  t.equal((await post('{')).status, 400)
  t.equal((await post(Buffer.from([0x22, 0xff, 0x22]))).status, 400, 'no UTF-8')
  t.equal((await post('a=b', 'application/x-www-form-urlencoded')).status, 415)
  t.equal((await post('{}', 'Application/JSON; charset=utf-8')).status, 201)
  const put = async (name: string) => {
    const answer = await fetch(`${url}/things/${name}`, { method: 'PUT' })
    return [answer.status, await answer.json()]
  }
  t.strictSame(await put('kafka'), [422, { error_code: 42201, message: 'not that one' }])
  t.strictSame(await put('known'), [400, { error_code: 400, message: 'out of range' }])
  t.strictSame(await put('bug'), [500, { error_code: 500, message: 'a bug' }])
  const odd = await fetch(`${url}/things/a%0Ab`)
  t.equal(odd.status, 500)
  t.match(await odd.text(), /The answer cannot be sent: .*character/)
})

t.test('bodies have a limit, told or not', async (t) => {
  const { server, url } = await start({ count: 0, fails: false })
  t.teardown(() => server.close())
  const { port } = server.address
  const long = await fetch(`${url}/things`, {
    method: 'POST',
    headers: jsonHeaders,
    body: `"${'x'.repeat(1000)}"`,
  })
  t.equal(long.status, 413)
  t.match(await long.json(), { error_code: 413, message: /1000 bytes/ })
  const start200 = 'POST /things HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n'
  const told = await raw(port, `${start200}Content-Length: 99999999999\r\n\r\n`)
  t.match(told, /^HTTP\/1.1 413 [\s\S]*Connection: close/)
  const chunk = `200\r\n${'x'.repeat(512)}\r\n`
  const untold = await raw(port, `${start200}Transfer-Encoding: chunked\r\n\r\n${chunk}${chunk}`)
  t.match(untold, /^HTTP\/1.1 413 /)
  const crumbs = '1\r\nx\r\n'.repeat(100)
  const crumbled = await raw(port, `${start200}Transfer-Encoding: chunked\r\n\r\n${crumbs}`)
  t.match(crumbled, /^HTTP\/1.1 413 /, 'tiny pieces count for more than they hold')
  const pieces = `3\r\n"ab\r\n2\r\nc"\r\n`.concat('0\r\n\r\n')
  const whole = `${start200}Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n${pieces}`
  t.match(await raw(port, whole), /^HTTP\/1.1 201 [\s\S]*"abc"/, 'pieces are put together')
  t.match(await raw(port, 'nonsense\r\n\r\n'), /^HTTP\/1.1 400 /)
  t.equal((await fetch(`${url}/things`)).status, 200, 'and others are answered')
})

t.test('a peer that leaves in the middle of its body harms nobody', async (t) => {
  const { server, url } = await start({ count: 0, fails: false })
  t.teardown(() => server.close())
  for (let round = 0; round < 50; round++) {
    await new Promise<void>((resolve) => {
      const socket = connect(server.address.port, '127.0.0.1', () => {
        socket.write('POST /things HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\n\r\nhalf')
        setImmediate(() => socket.destroy())
      })
      socket.on('close', () => resolve())
    })
  }
  await delay(10)
  t.equal((await fetch(`${url}/things`)).status, 200)
})

t.test('whoever says nothing makes room for whoever asks', async (t) => {
  const limits = {
    ...{ connectionsMax: 3, headersMax: 100, requestMsMax: 60_000, stalledMsMax: 60_000 },
    ...{ answeringMsMax: 60_000, idleMsMax: 60_000 },
  }
  const waiting: (() => void)[] = []
  const server = await listenHttp({ host: '127.0.0.1', port: 0 }, limits, async ({ target }) => {
    if (target === '/slow') await new Promise<void>((resolve) => waiting.push(resolve))
    return { status: 200, contentType: 'text/plain', body: target }
  })
  t.teardown(() => server.close())
  const { port } = server.address
  const ask = (target: string) =>
    raw(port, `GET ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`)
  const slow = ask('/slow')
  while (waiting.length === 0) await delay(5)
  for (const target of ['/1', '/2', '/3']) {
    const silent = ['GET /half HTTP/1.1\r\nHo', 'GE'].map((text) => raw(port, text))
    t.match(await ask(target), new RegExp(`${target}$`))
    t.equal(await Promise.race(silent), '', 'one of them is cut without a word')
  }
  for (const answer of waiting) answer()
  t.match(await slow, /\/slow$/, 'and not whoever is being answered')
})
