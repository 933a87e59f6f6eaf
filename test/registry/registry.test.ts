/** The registry over HTTP, on a broker: the usual registry's answers, codes and records; several on one topic. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { Cluster } from '../../src/client/cluster.ts'
import { Consumer } from '../../src/client/consumer.ts'
import { createNodeEnvironment } from '../../src/environment/node/environment.ts'
import { type HttpServer, startHttpServer } from '../../src/http/http-server.ts'
import { registryService } from '../../src/registry/service.ts'
import { decodeRecord, encodeRecord } from '../../src/registry/state/records.ts'
import { startBroker } from '../cli/running-broker.ts'

const directory = mkdtempSync(join(tmpdir(), 'millrace-registry-'))
const broker = await startBroker(directory, { 'transaction.state.log.num.partitions': '2' })
const [host = '', port] = broker.address.split(':')
const environment = createNodeEnvironment({ log: { level: 'silent' } })
const bootstrap = [{ host, port: Number(port) }]

function startRegistry(topic: string): Promise<HttpServer> {
  const service = registryService({ environment, bootstrap: () => bootstrap, topic })
  return startHttpServer(environment.listenHttp, { host: '127.0.0.1', port: 0 }, [service])
}

interface Answer {
  readonly status: number
  readonly body: never
}

function asking({ address }: HttpServer) {
  return async (method: string, path: string, body?: unknown): Promise<Answer> => {
    const answer = await fetch(`http://127.0.0.1:${address.port}${path}`, {
      method,
      headers: { 'Content-Type': 'application/vnd.schemaregistry.v1+json' },
      ...(body === undefined
        ? {}
        : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    })
    return { status: answer.status, body: JSON.parse(await answer.text()) as never }
  }
}

const servers = [await startRegistry('_schemas'), await startRegistry('_schemas')]
const ask = asking(servers[0]!)
const askOther = asking(servers[1]!)

t.teardown(async () => {
  for (const server of servers) await server.close()
  await broker.stop()
  rmSync(directory, { recursive: true })
})

const record = (...fields: object[]) =>
  JSON.stringify({ type: 'record', name: 'Order', namespace: 'shop', fields })
const id = { name: 'id', type: 'long' }
const note = { name: 'note', type: 'string' }
const noteWithDefault = { ...note, default: '' }
const versions = (subject: string) => `/subjects/${subject}/versions`

t.test('a schema is registered once, and found by whoever asks', async (t) => {
  t.same((await ask('GET', '/subjects')).body, [])
  t.same((await ask('GET', '/schemas/types')).body, ['AVRO', 'JSON', 'PROTOBUF'])
  const schema = record(id)
  const first = await ask('POST', versions('orders-value'), { schema: ` ${schema} ` })
  t.match(first, { status: 200, body: { id: 1, version: 1 } })
  t.match((await ask('POST', versions('orders-value'), { schema })).body, { id: 1, version: 1 })
  t.match((await ask('POST', versions('copies-value'), { schema })).body, { id: 1, version: 1 })
  t.match((await ask('POST', versions('orders-key'), { schema: '"string"' })).body, { id: 2 })
  t.match((await askOther('GET', '/schemas/ids/1')).body, { schema })
  t.match((await askOther('POST', '/subjects/orders-value', { schema })).body, {
    subject: 'orders-value',
    id: 1,
    version: 1,
    schema,
  })
  t.same((await ask('GET', '/subjects')).body, ['copies-value', 'orders-key', 'orders-value'])
  t.same((await ask('GET', '/subjects?subjectPrefix=orders')).body, ['orders-key', 'orders-value'])
  t.same((await ask('GET', '/subjects?offset=1&limit=1')).body, ['orders-key'])
  t.same((await ask('GET', '/schemas/ids/1/versions')).body, [
    { subject: 'copies-value', version: 1 },
    { subject: 'orders-value', version: 1 },
  ])
  t.same((await ask('GET', '/schemas/ids/1/subjects')).body, ['copies-value', 'orders-value'])
  t.same((await ask('GET', `${versions('orders-value')}/latest/schema`)).body, JSON.parse(schema))
  t.match((await ask('GET', `${versions('orders-value')}/latest`)).body, { version: 1, id: 1 })
  t.equal((await ask('GET', '/schemas')).body['length'], 3)
  const spaced = `{"type":"record","name":"shop.Order","doc":"","fields":[{"name":"id","type":{"type":"long"}}]}`
  t.match(
    (await ask('POST', `${versions('orders-value')}?normalize=true`, { schema: spaced })).body,
    { id: 1 },
  )
})

t.test('who does not fit is refused, and told why', async (t) => {
  const refused = await ask('POST', versions('orders-value'), { schema: record(id, note) })
  t.match(refused, { status: 409, body: { error_code: 409 } })
  t.match(
    refused.body['message'],
    /^Schema being registered is incompatible with an earlier schema for subject "orders-value", details: \[\{errorType:'READER_FIELD_MISSING_DEFAULT_VALUE', description:'The field 'note' at path '\/fields\/1' in the new schema has no default value and is missing in the old schema', additionalInfo:'note'\}, \{oldSchemaVersion: 1\}/,
  )
  const check = (version: string, schema: string, query = '') =>
    ask('POST', `/compatibility${versions('orders-value')}${version}${query}`, { schema })
  t.same((await check('/latest', record(id, note))).body, { is_compatible: false })
  t.same((await check('/1', record(id, noteWithDefault))).body, { is_compatible: true })
  t.match((await check('', record(id, note), '?verbose=true')).body, {
    is_compatible: false,
    messages: [/READER_FIELD_MISSING_DEFAULT_VALUE/, '{oldSchemaVersion: 1}'],
  })
  t.match((await check('/7', record(id))).body, { error_code: 40402 })
  t.match((await check('/latest', '{', '?verbose=true')).body, { is_compatible: false })
  t.match(await ask('POST', versions('orders-value'), { schema: record(id, noteWithDefault) }), {
    body: { version: 2 },
  })
  t.same((await ask('PUT', '/config/orders-value', { compatibility: 'none' })).body, {
    compatibility: 'NONE',
  })
  t.match((await ask('POST', versions('orders-value'), { schema: '"int"' })).body, { version: 3 })
  t.match((await ask('DELETE', '/config/orders-value')).body, { compatibilityLevel: 'NONE' })
})

t.test('a schema is found by its guid, which is the same in every registry', async (t) => {
  const { guid } = (await ask('GET', '/schemas/ids/1')).body as { guid: string }
  t.match(guid, /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)
  t.match(await ask('GET', `/schemas/guids/${guid}`), {
    status: 200,
    body: { guid, schema: record(id) },
  })
  t.same((await askOther('GET', `/schemas/guids/${guid}/ids`)).body, [{ context: '.', id: 1 }])
})

t.test('the last version with such metadata is found', async (t) => {
  const of = (owner: string, ...fields: object[]) => ({
    schema: record(id, ...fields),
    metadata: { properties: { owner, tier: 'gold' } },
  })
  const subject = '/subjects/owned-value'
  await ask('POST', `${subject}/versions`, of('ann'))
  await ask('POST', `${subject}/versions`, of('bob', noteWithDefault))
  const found = (query: string) => ask('GET', `${subject}/metadata?${query}`)
  t.match((await found('key=tier&value=gold')).body, { version: 2 })
  t.match((await found('key=tier&value=gold&key=owner&value=ann')).body, {
    subject: 'owned-value',
    version: 1,
  })
  t.match(await found('key=owner&value=eve'), { status: 404, body: { error_code: 40403 } })
  await ask('DELETE', subject)
  await ask('DELETE', `${subject}?permanent=true`)
})

t.test('what is wrong has a code of its own', async (t) => {
  const cases: [string, string, unknown, number, number, RegExp][] = [
    ['GET', versions('nothing'), undefined, 404, 40401, /^Subject 'nothing' not found\.$/],
    ['GET', `${versions('orders-value')}/9`, undefined, 404, 40402, /^Version 9 not found\.$/],
    ['GET', '/schemas/ids/99', undefined, 404, 40403, /^Schema 99 not found$/],
    ['GET', '/schemas/guids/none', undefined, 404, 40403, /^Schema none not found$/],
    ['GET', '/subjects/nothing/metadata', undefined, 404, 40401, /^Subject 'nothing' not found/],
    ['POST', '/subjects/orders-value', { schema: '"bytes"' }, 404, 40403, /^Schema not found$/],
    ['POST', '/subjects/nothing', { schema: '"bytes"' }, 404, 40401, /not found/],
    ['GET', '/config/orders-value', undefined, 404, 40408, /does not have subject-level/],
    ['GET', '/mode/orders-value', undefined, 404, 40409, /does not have subject-level/],
    ['POST', versions('x'), { schema: '{"type":"bogus"}' }, 422, 42201, /Undefined name: "bogus"/],
    ['POST', versions('x'), { schema: 7 }, 422, 42201, /Empty schema/],
    ['POST', versions('x'), { schema: '""', schemaType: 'XML' }, 422, 42201, /type XML/],
    ['POST', versions('x'), { schema: '"int"', references: [{}] }, 422, 42201, /references are/],
    ['POST', versions('x'), [], 422, 422, /is a JSON object/],
    ['POST', versions('x'), '{', 400, 400, /Malformed JSON/],
    [
      'GET',
      `${versions('orders-value')}/0`,
      undefined,
      422,
      42202,
      /'0' is not a valid version id/,
    ],
    ['GET', `${versions('orders-value')}/earliest`, undefined, 422, 42202, /earliest/],
    ['PUT', '/config', { compatibility: 'SOMETIMES' }, 422, 42203, /Invalid compatibility level/],
    ['PUT', '/mode', { mode: 'SLEEP' }, 422, 42204, /Invalid mode/],
    ['POST', versions('__GLOBAL'), { schema: '"int"' }, 422, 42208, /is not a valid/],
    ['POST', versions('x'), { schema: '"int"', id: 77 }, 422, 42205, /not in import mode/],
  ]
  for (const [method, path, body, status, code, message] of cases) {
    const answer = await ask(method, path, body)
    t.match(answer, { status, body: { error_code: code, message } }, `${method} ${path}`)
  }
})

t.test('deletion is soft before it is for good', async (t) => {
  const subject = 'deleted-value'
  await ask('POST', versions(subject), { schema: record(id) })
  await ask('POST', versions(subject), { schema: record(id, noteWithDefault) })
  t.match((await ask('DELETE', `/subjects/${subject}?permanent=true`)).body, { error_code: 40405 })
  t.match((await ask('DELETE', `${versions(subject)}/1?permanent=true`)).body, {
    error_code: 40407,
  })
  t.equal((await ask('DELETE', `${versions(subject)}/1`)).body, 1)
  t.match((await ask('DELETE', `${versions(subject)}/1`)).body, { error_code: 40406 })
  t.same((await ask('GET', versions(subject))).body, [2])
  t.same((await ask('GET', `${versions(subject)}?deleted=true`)).body, [1, 2])
  t.match((await ask('GET', `${versions(subject)}/1`)).body, { error_code: 40402 })
  t.match((await ask('GET', `${versions(subject)}/1?deleted=true`)).body, { deleted: true })
  t.match((await ask('GET', '/schemas/ids/1')).status, 200, 'what was written can still be read')
  const again = await ask('POST', versions(subject), { schema: record(id) })
  t.match(again.body, { id: 1, version: 3 }, 'it comes back under its id, as a new version')
  t.same((await ask('GET', `${versions(subject)}?deleted=true`)).body, [2, 3])
  t.same((await ask('DELETE', `/subjects/${subject}`)).body, [2, 3])
  t.match((await ask('DELETE', `/subjects/${subject}`)).body, { error_code: 40404 })
  t.match((await ask('GET', versions(subject))).body, { error_code: 40401 })
  t.ok(((await ask('GET', '/subjects?deleted=true')).body as string[]).includes(subject))
  t.same((await ask('GET', '/subjects?deletedOnly=true')).body, [subject])
  t.same((await ask('DELETE', `/subjects/${subject}?permanent=true`)).body, [2, 3])
  t.match((await askOther('GET', `${versions(subject)}?deleted=true`)).body, { error_code: 40401 })
})

t.test('references hold what they refer to', async (t) => {
  const address = JSON.stringify({
    type: 'record',
    name: 'Address',
    namespace: 'shop',
    fields: [{ name: 'street', type: 'string' }],
  })
  const person = JSON.stringify({
    type: 'record',
    name: 'Person',
    namespace: 'shop',
    fields: [{ name: 'home', type: 'Address' }],
  })
  const references = [{ name: 'shop.Address', subject: 'address', version: 1 }]
  const made = await ask('POST', versions('address'), { schema: address })
  t.match((await ask('POST', versions('person'), { schema: person })).body, { error_code: 42201 })
  const user = await ask('POST', versions('person'), { schema: person, references })
  t.match(user, { status: 200, body: { version: 1 } })
  t.match((await ask('GET', `/schemas/ids/${user.body['id']}`)).body, {
    schema: person,
    references,
  })
  t.same((await ask('GET', `${versions('address')}/1/referencedby`)).body, [user.body['id']])
  t.match((await ask('DELETE', `${versions('address')}/1`)).body, { error_code: 42206 })
  t.match((await ask('DELETE', '/subjects/address')).body, { error_code: 42206 })
  const gone = [{ name: 'shop.Address', subject: 'address', version: 9 }]
  t.match((await ask('POST', versions('other'), { schema: person, references: gone })).body, {
    error_code: 42201,
    message: /No schema reference found for subject "address" and version 9/,
  })
  t.equal(made.status, 200)
})

t.test('modes', async (t) => {
  t.same((await ask('GET', '/mode')).body, { mode: 'READWRITE' })
  t.same((await ask('PUT', '/mode/frozen', { mode: 'readonly' })).body, { mode: 'READONLY' })
  t.match((await ask('POST', versions('frozen'), { schema: '"int"' })).body, {
    error_code: 42205,
    message: /read-only mode/,
  })
  t.same((await askOther('GET', '/mode/frozen')).body, { mode: 'READONLY' })
  t.same((await ask('DELETE', '/mode/frozen')).body, { mode: 'READONLY' })
  t.match((await ask('PUT', '/mode', { mode: 'IMPORT' })).body, { error_code: 42205 })
  await ask('PUT', '/mode/imported', { mode: 'IMPORT' })
  const schema = '{"type":"fixed","name":"F","size":3}'
  t.match((await ask('POST', versions('imported'), { schema, id: 500, version: 7 })).body, {
    id: 500,
    version: 7,
  })
  t.match((await ask('POST', versions('imported'), { schema: '"float"', id: 500 })).body, {
    error_code: 42207,
  })
  await ask('PUT', '/mode/elsewhere', { mode: 'IMPORT' })
  await ask('POST', versions('elsewhere'), { schema, id: 501, version: 1 })
  const found = async (subject: string) =>
    (await ask('POST', `/subjects/${subject}`, { schema })).body['id']
  t.equal(await found('imported'), 500, 'one content may have an id for each import')
  t.equal(await found('elsewhere'), 501)
  await ask('DELETE', '/subjects/elsewhere')
  await ask('DELETE', '/subjects/elsewhere?permanent=true')
  t.equal(await found('imported'), 500, 'and is known as long as one is there')
})

t.test('several registries on one topic never give one id twice', async (t) => {
  const names = Array.from({ length: 20 }, (_, index) => `T${index}`)
  const schemaOf = (name: string) => `{"type":"enum","name":"${name}","symbols":["A"]}`
  const answers = await Promise.all(
    names.flatMap((name, index) => [
      (index % 2 === 0 ? ask : askOther)('POST', versions(`at-once-${index}`), {
        schema: schemaOf(name),
      }),
      (index % 2 === 0 ? askOther : ask)('POST', versions('at-once-all'), {
        schema: schemaOf(name).replace(`"${name}"`, `"E","aliases":["${name}"]`),
      }),
    ]),
  )
  for (const { status } of answers) t.equal(status, 200)
  const ids = answers.map(({ body }) => body['id'] as number)
  t.equal(new Set(ids).size, ids.length, 'every schema has an id of its own')
  const all = (await askOther('GET', versions('at-once-all'))).body as number[]
  t.same(
    all,
    Array.from(names, (_, index) => index + 1),
    'and every version a number',
  )
  for (const server of [ask, askOther])
    for (const [index, name] of names.entries()) {
      const { id: known } = answers[2 * index]!.body as { id: number }
      t.match((await server('GET', `/schemas/ids/${known}`)).body, { schema: schemaOf(name) })
    }
})

t.test('what is kept is what the usual registry keeps', async (t) => {
  const cluster = new Cluster(environment, { bootstrap })
  const consumer = new Consumer(cluster)
  consumer.assign([{ topic: '_schemas', partition: 0, offset: 'earliest' }])
  const pairs: [string, string | undefined][] = []
  while (pairs.length < 6)
    for (const { records } of await consumer.poll())
      for (const { key, value } of records) pairs.push([String(key), value?.toString()])
  t.same(pairs[0], ['{"keytype":"NOOP","magic":0}', undefined])
  const schema = record(id)
  t.equal(pairs[1]![0], '{"keytype":"SCHEMA","subject":"orders-value","version":1,"magic":1}')
  t.match(JSON.parse(pairs[1]![1]!), {
    subject: 'orders-value',
    version: 1,
    id: 1,
    md5: /^[\w+/]{22}==$/,
    schema,
    deleted: false,
  })
  await consumer.close()
  cluster.close()
  // As an older registry wrote them.
  const read = (key: string, value: string | null) =>
    decodeRecord(Buffer.from(key), value === null ? null : Buffer.from(value))
  t.match(
    read(
      '{"keytype":"SCHEMA","subject":"a","version":1,"magic":1}',
      '{"subject":"a","version":1,"id":3,"schema":"\\"int\\"","deleted":false}',
    ),
    { type: 'SCHEMA', value: { id: 3, text: '"int"', type: 'AVRO', references: [] } },
  )
  t.match(read('{"keytype":"CONFIG","subject":null,"magic":0}', '{"compatibilityLevel":"FULL"}'), {
    type: 'CONFIG',
    subject: null,
    value: { compatibilityLevel: 'FULL' },
  })
  for (const [key, value] of [
    ['', ''],
    ['[]', '{}'],
    ['{"keytype":"SCHEMA","subject":"a","version":-1}', '{}'],
    ['{"keytype":"SCHEMA","subject":"a","version":1}', '{"id":1}'],
    ['{"keytype":"WHO","subject":"a"}', '{}'],
  ])
    t.equal(read(key!, value!), null, `${key} is passed over`)
  const written = { type: 'DELETE_SUBJECT', subject: 'a', version: 2 } as const
  const { key, value } = encodeRecord(written)
  t.equal(String(key), '{"keytype":"DELETE_SUBJECT","subject":"a","magic":0}')
  t.same(decodeRecord(key, value), written)
})

t.test('a registry that starts reads all that was decided before it', async (t) => {
  const server = await startRegistry('_schemas')
  const askLate = asking(server)
  t.same((await askLate('GET', '/schemas')).body, (await ask('GET', '/schemas')).body)
  t.same((await askLate('GET', '/config')).body, { compatibilityLevel: 'BACKWARD' })
  await server.close()
})
