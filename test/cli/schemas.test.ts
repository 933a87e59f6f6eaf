/** `millrace schemas`, against the registry of a broker. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { createNodeEnvironment } from '../../src/environment/node/environment.ts'
import { startHttpServer } from '../../src/http/http-server.ts'
import { registryService } from '../../src/registry/service.ts'
import { type Ended, start, startBroker } from './running-broker.ts'

const directory = mkdtempSync(join(tmpdir(), 'millrace-schemas-'))
const broker = await startBroker(join(directory, 'data'), {
  'transaction.state.log.num.partitions': '2',
})
const [host = '', port] = broker.address.split(':')
const environment = createNodeEnvironment({ log: { level: 'silent' } })
const service = registryService({ environment, bootstrap: () => [{ host, port: Number(port) }] })
const server = await startHttpServer(environment.listenHttp, { host: '127.0.0.1', port: 0 }, [
  service,
])
const url = `http://127.0.0.1:${server.address.port}`

t.teardown(async () => {
  await server.close()
  await broker.stop()
  rmSync(directory, { recursive: true })
})

function schemas(line: string, input?: string): Promise<Ended> {
  const words = ['schemas', ...line.split(' '), '--registry', url]
  return start(words, input === undefined ? {} : { input }).ended
}

function file(name: string, fields: object[]): string {
  const path = join(directory, name)
  writeFileSync(path, JSON.stringify({ type: 'record', name: 'Order', fields }))
  return path
}

t.test('a schema from file to deletion', async (t) => {
  const first = file('1.avsc', [{ name: 'id', type: 'long' }])
  const more = [
    { name: 'id', type: 'long' },
    { name: 'note', type: 'string' },
  ]
  const wrong = file('2.avsc', more)
  const registered = await schemas(`register orders-value ${first}`)
  t.match(registered, { code: 0, stdout: 'orders-value has it under id 1, version 1\n' })
  t.match(await schemas('register orders-key -', '"string"'), { code: 0, stdout: /id 2/ })
  t.equal((await schemas('list')).stdout, 'orders-key\norders-value\n')
  t.same(JSON.parse((await schemas('list orders-v --json')).stdout), ['orders-value'])
  const described = await schemas('describe orders-value')
  t.match(described.stdout, /^Subject +orders-value\nVersion +1 of 1\nId +1\nType +AVRO\n/)
  t.match(described.stdout, /Compatibility +BACKWARD\n[\s\S]*"name": "Order"/)
  t.match(JSON.parse((await schemas('describe orders-value --version 1 --json')).stdout), {
    id: 1,
    versions: [1],
    compatibilityLevel: 'BACKWARD',
  })
  t.match(await schemas(`check orders-value ${first}`), { code: 0, stdout: /may have it/ })
  t.match(await schemas(`check orders-value ${wrong}`), {
    code: 1,
    stderr: /may not have it:\n {2}\{errorType:'READER_FIELD_MISSING_DEFAULT_VALUE'/,
  })
  t.match(await schemas(`register orders-value ${wrong}`), { code: 1, stderr: /\(409\)/ })
  t.equal((await schemas('compatibility orders-value NONE')).stdout, 'NONE\n')
  t.equal((await schemas('compatibility')).stdout, 'BACKWARD\n')
  t.match(await schemas(`register orders-value ${wrong}`), { code: 0, stdout: /version 2/ })
  t.equal((await schemas('compatibility orders-value --unset')).stdout, 'BACKWARD\n')
  t.equal((await schemas('delete orders-value --version 1')).stdout, 'orders-value: deleted 1\n')
  t.match(await schemas('delete orders-value --permanent'), { code: 1, stderr: /\(40405\)/ })
  t.equal((await schemas('delete orders-value')).stdout, 'orders-value: deleted 2\n')
  t.match(await schemas('describe orders-value'), { code: 1, stderr: /\(40401\)/ })
})

t.test('what is wrong is said, with what to do', async (t) => {
  t.match(await schemas('register x - --reference y', '"int"'), { code: 2, stderr: /NAME=SUBJECT/ })
  t.match(await schemas('register x /nowhere.avsc'), { code: 1, stderr: /nowhere\.avsc/ })
  const away = await start(['schemas', 'list', '--registry', 'http://127.0.0.1:1']).ended
  t.match(away, { code: 1, stderr: /no schema registry answers at http:\/\/127\.0\.0\.1:1/ })
  t.match(away.stderr, /http\.listeners/)
})
