/** Delta tables in an object store: all that is done with them, several writers under a storm of faults, and the command line. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { batchOf } from '../../../src/tables/columns/column-builder.ts'
import { rowPrinter } from '../../../src/tables/columns/json-text.ts'
import { deleteRows } from '../../../src/tables/delta/delete.ts'
import { DeltaError } from '../../../src/tables/delta/delta-error.ts'
import { readHistory } from '../../../src/tables/delta/history.ts'
import { newTable } from '../../../src/tables/delta/new-table.ts'
import { optimizeTable } from '../../../src/tables/delta/optimize.ts'
import { restoreTable } from '../../../src/tables/delta/restore.ts'
import { scanTable } from '../../../src/tables/delta/scan.ts'
import { readSnapshot } from '../../../src/tables/delta/snapshot.ts'
import type { TableEnvironment } from '../../../src/tables/delta/table-environment.ts'
import { Transaction } from '../../../src/tables/delta/transaction.ts'
import { vacuumTable } from '../../../src/tables/delta/vacuum.ts'
import { type Fault, keys, ObjectStore, refused } from './object-store.ts'
import { HurriedWorld, storageIn } from './s3-world.ts'

const fields = [
  { name: 'id', type: { kind: 'int64' }, isNullable: true },
  { name: 'p', type: { kind: 'string' }, isNullable: true },
] as const
const written = { operation: 'WRITE', parameters: { mode: 'Append' } }

function environmentAt(store: ObjectStore): TableEnvironment {
  const world = new HurriedWorld()
  return { clock: world.clock, random: world.random, storage: storageIn(store, world) }
}

async function create(environment: TableEnvironment): Promise<void> {
  const table = newTable({ fields: [...fields], partitionBy: ['p'] }, environment)
  await Transaction.creating(environment, table).commit(written)
}

async function append(environment: TableEnvironment, ids: readonly number[]): Promise<number> {
  const transaction = Transaction.on(environment, await readSnapshot(environment.storage))
  const partitions = ['a/b', 'x y=%', 'Zürich+', null]
  const rows = ids.map((id) => ({ id: BigInt(id), p: partitions[id % 4]! }))
  await transaction.append(batchOf(transaction.schema.fields, rows))
  return (await transaction.commit(written)).version
}

async function idsOf({ storage }: TableEnvironment, version?: number): Promise<number[]> {
  const snapshot = await readSnapshot(storage, version)
  const ids: number[] = []
  for await (const batch of scanTable(storage, snapshot)) {
    const print = rowPrinter(batch.fields)
    for (let row = 0; row < batch.rowCount; row++) ids.push(JSON.parse(print(batch, row)).id)
  }
  return ids.sort((a, b) => a - b)
}

const upTo = (count: number) => Array.from({ length: count }, (_, i) => i)

async function started(t: Test): Promise<ObjectStore> {
  const store = await ObjectStore.start()
  t.teardown(() => store.stop())
  return store
}

t.test('all that is done with tables', async (t) => {
  const store = await started(t)
  store.pageSize = 7
  const environment = environmentAt(store)
  const { storage } = environment
  await create(environment)
  for (let i = 0; i < 12; i++) await append(environment, [2 * i, 2 * i + 1])
  t.ok(store.objects.has('tables/t/_delta_log/00000000000000000010.checkpoint.parquet'))
  t.same(await idsOf(environment), upTo(24))
  t.same(await idsOf(environment, 3), upTo(6))
  const gone = (await deleteRows(environment, 'id >= 4 AND id < 8'))!
  t.equal(gone.deleted, 4)
  const packed = (await optimizeTable(environment, 2 ** 20))!
  t.ok(packed.removed > packed.files)
  t.same(await idsOf(environment), [...upTo(4), ...upTo(24).slice(8)])
  await restoreTable(environment, 12)
  t.same(await idsOf(environment), upTo(24))
  t.equal((await readHistory(storage)).length, 16)
  const before = store.objects.size
  const { files } = await vacuumTable(environment, { retentionMs: 0, force: true })
  t.equal(store.objects.size, before - files.length)
  t.ok(files.length >= packed.files)
  t.same(await idsOf(environment), upTo(24))
})

t.test('several writers in a storm: every row once', async (t) => {
  const store = await started(t)
  await create(environmentAt(store))
  let state = 42
  const random = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
  const faults: readonly Fault[] = [
    ...(['lost', 'unheard', 'truncated', 'late'] as const),
    ...[refused(503, 'SlowDown'), refused(500, 'InternalError'), refused(409, 'OperationAborted')],
  ]
  let met = 0
  store.fault = () => {
    if (store.late.length > 0 && random() < 0.1) store.late.shift()!()
    if (random() > 0.25) return null
    met++
    return faults[Math.floor(random() * faults.length)]!
  }
  const commits = 12
  const lives = upTo(3).map(async (writer) => {
    const environment = environmentAt(store)
    for (const i of upTo(commits)) {
      const id = writer * commits + i
      for (let isThere = false; !isThere; ) {
        try {
          await append(environment, [id])
          isThere = true
        } catch (error) {
          if (!(error instanceof Error)) throw error
          isThere = await idsOf(environment).then(
            (ids) => ids.includes(id),
            () => false,
          )
          // What may come later is waited for: only then may it be done again.
          for (const arrive of store.late.splice(0)) arrive()
          isThere ||= (await settled(environment)).includes(id)
        }
      }
    }
  })
  await Promise.all(lives)
  store.fault = () => null
  for (const arrive of store.late.splice(0)) arrive()
  t.ok(met > 100, `${met} faults`)
  const environment = environmentAt(store)
  t.same(await idsOf(environment), upTo(3 * commits))
  t.equal(store.uploads.size, 0)
})

/** Asks until there is an answer. */
async function settled(environment: TableEnvironment): Promise<number[]> {
  for (;;) {
    const ids = await idsOf(environment).catch(() => null)
    if (ids !== null) return ids
  }
}

t.test('a commit that may come later keeps its files', async (t) => {
  const store = await started(t)
  const environment = environmentAt(store)
  await create(environment)
  await append(environment, [0])
  const isCommit = (key: string) => key.endsWith('2.json')
  store.fault = ({ method, key }) => (isCommit(key) && method === 'PUT' ? 'late' : null)
  const uncertain = { reason: 'uncertain', message: /^version 2 may be in the log, or come there/ }
  await t.rejects(append(environment, [1]), uncertain)
  t.same(await idsOf(environment), [0])
  store.late[0]!()
  t.same(await idsOf(environment), [0, 1], 'it has come, and its rows are there')
  store.fault = ({ method, key }) =>
    key.endsWith('3.json') && method === 'PUT'
      ? 'lost'
      : key.endsWith('3.json') && store.objects.has(`${key}`)
        ? 'unheard'
        : null
  await t.rejects(append(environment, [2]), { reason: 'uncertain', message: /^version 3 may be/ })
  store.fault = () => null
  t.same(await idsOf(environment), [0, 1, 2])
  const objects = store.objects.size
  store.fault = ({ method, key }) =>
    key.endsWith('4.json') && method === 'PUT' ? refused(403, 'AccessDenied') : null
  await t.rejects(append(environment, [3]), { code: 'AccessDenied' })
  t.equal(store.objects.size, objects, 'what is certain leaves nothing')
  t.ok(new DeltaError('uncertain', '') instanceof Error)
})

const program = fileURLToPath(new URL('../../../src/cli/millrace.js', import.meta.url))

t.test('the command line', async (t) => {
  const store = await started(t)
  const tables = async (args: readonly string[], input = '', more: NodeJS.ProcessEnv = {}) => {
    const child = spawn(process.execPath, [program, 'tables', ...args], {
      env: { PATH: process.env['PATH'], ...store.variables, ...more },
    })
    child.stdin.end(input)
    const ended = once(child, 'exit') as Promise<[number]>
    const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)])
    const [status] = await ended
    return { status, stdout, stderr }
  }
  const orders = 's3://lake/shop/orders'
  let busy = 2
  store.fault = ({ method }) => (method === 'PUT' && busy-- > 0 ? refused(503, 'SlowDown') : null)
  const made = await tables(['append', orders, '--json'], '{"id":1}\n{"id":2}\n')
  t.strictSame(made, { status: 0, stdout: '{"version":0,"rows":2,"files":1}\n', stderr: '' })
  t.equal((await tables(['read', orders])).stdout, '{"id":1}\n{"id":2}\n')
  const file = [...store.objects.keys()].find((key) => key.endsWith('.parquet'))!
  t.equal((await tables(['read', `s3a://lake/${file}`])).stdout, '{"id":1}\n{"id":2}\n')
  t.match(JSON.parse((await tables(['list', 's3://lake', '--json'])).stdout), [
    { path: 'shop/orders', version: 0, files: 1 },
  ])
  t.match(await tables(['delete', orders, '--where', 'id = 1']), { stdout: /^Version 1: 1 row/ })
  t.match(await tables(['history', orders]), { status: 0, stdout: /DELETE/ })
  const refusals: [string[], RegExp, NodeJS.ProcessEnv?][] = [
    [['read', 's3://lake/none'], /^millrace: s3:\/\/lake\/none: no Delta table/],
    [
      ['read', 's3://else/x'],
      /NoSuchBucket: Said of NoSuchBucket \(there is no bucket else at http/,
    ],
    [['read', 's3://La_ke/x'], /La_ke is no name of a bucket/],
    [
      ['read', orders],
      /no credentials: set AWS_ACCESS_KEY_ID/,
      { AWS_ACCESS_KEY_ID: '', AWS_SECRET_ACCESS_KEY: '' },
    ],
    [['read', orders], /one is missing/, { AWS_SECRET_ACCESS_KEY: '' }],
    [['append', orders], /SignatureDoesNotMatch/, { AWS_SECRET_ACCESS_KEY: 'wrong' }],
    [['read', orders], /expected an address/, { AWS_ENDPOINT_URL: 'localhost:9000' }],
    [['read', orders], /region test-1, not eu-1: set AWS_REGION/, { AWS_REGION: 'eu-1' }],
  ]
  for (const [args, said, more] of refusals) {
    const { status, stdout, stderr } = await tables(args, '{"id":3}', more)
    t.match({ status, stdout, stderr }, { status: 1, stdout: '', stderr: said })
    t.notMatch(stderr, /\n {4}at /, 'no stack')
    for (const secret of Object.values(keys).slice(1)) t.notOk(stderr.includes(secret))
  }
})
