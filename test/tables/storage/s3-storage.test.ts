/** Storage in an object store: what it keeps, what it does when answers are lost, and what it says when it cannot. */
import t, { type Test } from 'tap'
import { DiskError } from '../../../src/environment/disk.ts'
import { UncertainWrite } from '../../../src/environment/storage.ts'
import { type Asked, type Fault, keys, ObjectStore, refused } from './object-store.ts'
import { HurriedWorld, storageIn } from './s3-world.ts'

async function begin(t: Test, more: Readonly<Record<string, string>> = {}) {
  const store = await ObjectStore.start()
  t.teardown(() => store.stop())
  const world = new HurriedWorld()
  const storage = storageIn(store, world, more)
  /** What the next requests of a method meet, one after another; what tries a store out is left alone. */
  const meet = (method: string, ...faults: (Fault | null)[]) => {
    store.fault = ({ method: asked, key }: Asked) =>
      asked !== method || key.endsWith('.tmp') ? null : (faults.shift() ?? null)
  }
  return { store, world, storage, meet }
}

const some = Buffer.from('some bytes')
const others = Buffer.from('others, of somebody else')
const megabytes = (count: number, fill = 7) => Buffer.alloc(count * 2 ** 20, fill)

t.test('files, and what lies where', async (t) => {
  const { store, storage } = await begin(t)
  store.pageSize = 3
  const names = ['a b+c/ü&<>.json', 'a b+c/😀', 'a b+c/d/e', '1.json', '2.json', '2.x', '3.json']
  for (const name of names) t.equal(await storage.putIfAbsent(name, Buffer.from(name)), true, name)
  for (const name of names) t.equal(`${await storage.read(name)}`, name)
  t.same([...store.objects.keys()].sort(), names.map((name) => `tables/t/${name}`).sort())
  const list = async (directory: string, from?: string) =>
    (await storage.list(directory, from)).map(({ name, isDirectory }) =>
      isDirectory ? `${name}/` : name,
    )
  t.same(await list(''), ['1.json', '2.json', '2.x', '3.json', 'a b+c/'])
  t.same(await list('.', '2'), ['2.json', '2.x', '3.json', 'a b+c/'])
  t.same(await list('', '2.json'), ['2.json', '2.x', '3.json', 'a b+c/'])
  t.same(await list('a b+c/'), ['d/', 'ü&<>.json', '😀'])
  t.same(await list('none'), [])
  const [first] = await storage.list('')
  t.equal(first!.size, 6)
  t.ok(Math.abs(first!.modifiedMs - Date.now()) < 60_000)
  t.equal(first!.isLink, false)
  await storage.remove('1.json')
  await storage.remove('1.json')
  await t.rejects(storage.read('1.json'), { name: 'DiskError', code: 'ENOENT' })
  await t.rejects(storage.open('1.json'), { code: 'ENOENT' })
  await t.rejects(storage.read('/etc/passwd'), { code: 'EINVAL' })
  await t.rejects(storage.read('s3://other/x'), { code: 'EINVAL' })
  await t.rejects(storage.read('\ud800'), { code: 'EINVAL' })
})

t.test('names are taken once', async (t) => {
  const { storage } = await begin(t)
  t.equal(await storage.putIfAbsent('x', some), true)
  t.equal(await storage.putIfAbsent('x', others), false)
  t.same(await storage.read('x'), some)
  await storage.put('x', others)
  t.same(await storage.read('x'), others)
  const races = Array.from({ length: 20 }, (_, i) => storage.putIfAbsent('y', Buffer.from(`${i}`)))
  const won = (await Promise.all(races)).flatMap((isOurs, i) => (isOurs ? [`${i}`] : []))
  t.same(won, [`${await storage.read('y')}`])
  const file = await storage.create('x')
  await file.write(some)
  await t.rejects(file.finish(), { code: 'EEXIST' })
})

t.test('reading anywhere', async (t) => {
  const { store, storage } = await begin(t)
  const bytes = Buffer.from(Array.from({ length: 200_000 }, (_, i) => i % 251))
  await storage.put('x', bytes)
  await storage.put('empty', Buffer.alloc(0))
  const file = await storage.open('x')
  t.equal(file.size, 200_000)
  for (const [position, length] of [
    [0, 10],
    [100_000, 50_000],
    [199_990, 10],
    [150_000, 50_000],
    [200_000, 0],
    [0, 200_000],
  ] as const) {
    t.same(await file.read(position, length), bytes.subarray(position, position + length))
  }
  await t.rejects(file.read(199_999, 2), { code: 'EIO' })
  await storage.put('x', Buffer.concat([some, bytes]))
  await t.rejects(file.read(0, 10), { code: 'PreconditionFailed' }, 'another object in its place')
  await file.close()
  const empty = await storage.open('empty')
  t.equal(empty.size, 0)
  t.same([...(await empty.read(0, 0))], [])
  const before = store.asked.length
  await (await storage.open('x')).read(199_000, 1000)
  t.equal(store.asked.length - before, 1, 'what is at the end comes with opening')
})

t.test('large files go in parts, and are there whole or not at all', async (t) => {
  const { store, storage, meet } = await begin(t)
  const write = async (name: string) => {
    const file = await storage.create(name)
    const chunk = megabytes(3)
    for (let i = 0; i < 3; i++) await file.write(chunk.fill(i))
    return file
  }
  const whole = Buffer.concat(Array.from({ length: 3 }, (_, i) => megabytes(3, i)))
  const large = await write('large')
  t.equal(store.objects.size, 0, 'nobody sees it yet')
  await large.finish()
  t.ok((await storage.read('large')).equals(whole))
  const huge = await storage.create('huge')
  await huge.write(Buffer.concat([whole, whole]))
  await huge.finish()
  t.ok((await storage.read('huge')).equals(Buffer.concat([whole, whole])))
  t.equal(store.uploads.size, 0)
  await (await write('dropped')).discard()
  await t.rejects((await write('large')).finish(), { code: 'EEXIST' })
  const failing = await write('failing')
  meet('PUT', refused(403, 'AccessDenied'))
  await t.rejects(failing.finish(), { code: 'AccessDenied' })
  t.equal(store.uploads.size, 0, 'no parts are left')
  for (const fault of [
    'lost',
    'truncated',
    'unheard',
    refused(503, 'SlowDown'),
    refused(200, 'InternalError'),
  ] as const) {
    const name = `after ${JSON.stringify(fault)}`
    const file = await write(name)
    meet('POST', fault, fault)
    await file.finish()
    t.ok((await storage.read(name)).equals(whole), name)
    t.equal(store.uploads.size, 0)
  }
  const taken = await write('taken')
  store.fault = ({ method }) => {
    if (method !== 'POST') return null
    store.fault = () => null
    store.objects.set('tables/t/taken', { bytes: others, etag: '"o"', modified: '', metadata: {} })
    return 'lost'
  }
  await t.rejects(taken.finish(), { code: 'EEXIST' })
})

t.test('an answer that is lost is not taken for a failure, nor for success', async (t) => {
  const { store, storage, world, meet } = await begin(t)
  const faults: Fault[] = [
    'lost',
    'unheard',
    'truncated',
    refused(503, 'SlowDown'),
    refused(500, 'InternalError'),
  ]
  for (const [i, fault] of faults.entries()) {
    meet('PUT', fault, fault, fault)
    t.equal(await storage.putIfAbsent(`ours-${i}`, some), true)
    t.same(await storage.read(`ours-${i}`), some)
    await storage.put(`theirs-${i}`, others)
    meet('PUT', fault, fault)
    t.equal(await storage.putIfAbsent(`theirs-${i}`, some), false)
    t.same(await storage.read(`theirs-${i}`), others)
  }
  t.equal(await storage.putIfAbsent('ours-0', some), true, 'what one has put is not put again')
  meet('PUT', refused(409, 'ConditionalRequestConflict'))
  t.equal(await storage.putIfAbsent('conflict', some), true)
  const isUncertain = (work: Promise<unknown>) =>
    work.then(
      () => false,
      (error: unknown) => error instanceof UncertainWrite,
    )
  const always = (fault: Fault) => meet('PUT', ...new Array<Fault>(20).fill(fault))
  always('lost')
  t.equal(await storage.putIfAbsent('looked at', some), true)
  always('unheard')
  t.ok(await isUncertain(storage.putIfAbsent('who knows', some)))
  always('late')
  t.ok(await isUncertain(storage.putIfAbsent('late', some)))
  for (const arrive of store.late) arrive()
  t.same(await storage.read('late'), some, 'it came')
  store.fault = ({ method, key }) =>
    key.includes('deaf') && method === 'PUT' ? 'lost' : key.includes('deaf') ? 'unheard' : null
  t.ok(await isUncertain(storage.putIfAbsent('deaf', some)))
  store.fault = () => null
  t.same(await storage.read('deaf'), some)
  always(refused(403, 'AccessDenied'))
  const error = await storage.putIfAbsent('forbidden', some).catch((error: unknown) => error)
  t.ok(error instanceof DiskError && !(error instanceof UncertainWrite), 'that is certain')
  t.ok(world.pauses.every((ms) => ms >= 50 && ms <= 5000))
})

t.test('tries are limited, and further and further apart', async (t) => {
  const { store, storage, world, meet } = await begin(t)
  await storage.put('x', some)
  meet('GET', 'truncated', 'lost', refused(503, 'SlowDown'), { status: 502, body: '<html>' })
  t.same(await storage.read('x'), some)
  t.equal(world.pauses.length, 4)
  world.pauses.length = 0
  store.asked.length = 0
  meet('GET', ...new Array<Fault>(20).fill(refused(503, 'SlowDown')))
  await t.rejects(storage.read('x'), { code: 'SlowDown', message: /Said of SlowDown/ })
  t.equal(store.asked.length, 8)
  t.ok(world.pauses.at(-1)! > world.pauses[0]! * 2)
  meet('GET', 'slow')
  world.answerMsMax = 300
  t.same(await storage.read('x'), some)
  await storage.put('y', megabytes(1))
  const file = await storage.open('y')
  meet('GET', {
    status: 206,
    body: 'y'.repeat(2 ** 20),
    headers: { 'Content-Range': 'bytes 0-9/1048576' },
  })
  store.asked.length = 0
  await t.rejects(file.read(0, 10), { code: 'EMSGSIZE' })
  t.equal(store.asked.length, 1, 'nobody asks again for what is too long')
})

t.test('a store that lets names be taken twice is refused', async (t) => {
  const { store, storage } = await begin(t)
  store.heedsConditions = false
  const message = /lets a name be taken twice/
  await t.rejects(storage.putIfAbsent('x', some), { code: 'NotImplemented', message })
  t.equal(store.objects.size, 0)
  store.heedsConditions = true
  t.equal(await storage.putIfAbsent('x', some), true)
  t.equal(store.objects.size, 1)
  store.asked.length = 0
  t.equal(await storage.putIfAbsent('y', some), true)
  t.equal(store.asked.length, 1, 'it is tried out once')
})

t.test('what is wrong is said, and no secrets', async (t) => {
  const { store, storage, meet } = await begin(t)
  const told = async (work: Promise<unknown>) => {
    const error = (await work.then(
      () => null,
      (error: unknown) => error,
    )) as DiskError
    t.type(error, DiskError)
    for (const secret of [keys.AWS_SECRET_ACCESS_KEY, keys.AWS_SESSION_TOKEN])
      t.notOk(
        `${error.stack} ${JSON.stringify(error)} ${JSON.stringify(error.cause)}`.includes(secret),
      )
    return `${error.code}: ${error.message}`
  }
  const world = new HurriedWorld()
  const other = (more: Record<string, string>, bucket = 'lake') =>
    storageIn(store, world, more, `s3://${bucket}/t`)
  t.match(await told(other({}, 'elsewhere').read('x')), /there is no bucket elsewhere at http/)
  t.match(await told(other({}, 'elsewhere').list('')), /^NoSuchBucket/)
  t.match(
    await told(other({ AWS_SECRET_ACCESS_KEY: 'z' }).read('x')),
    /^SignatureDoesNotMatch.*secret access key/,
  )
  t.match(await told(other({ AWS_ACCESS_KEY_ID: 'Z' }).list('')), /^InvalidAccessKeyId/)
  t.match(
    await told(other({ AWS_REGION: 'eu-9' }).list('')),
    /bucket lake is in region test-1, not eu-9: set AWS_REGION/,
  )
  meet('GET', { status: 301, headers: { 'x-amz-bucket-region': 'eu-west-1' } })
  t.match(await told(storage.read('x')), /^PermanentRedirect.*region eu-west-1/)
  meet('GET', { status: 404, body: 'no such page' })
  t.match(await told(storage.list('')), /^NoSuchBucket/)
  meet('GET', {
    status: 403,
    body: '<Error><Code>AccessDenied</Code><Message>no\x1b[31m</Message></Error>',
  })
  t.match(await told(storage.list('')), /^AccessDenied: AccessDenied: no \[31m/)
  meet('GET', {
    status: 403,
    body: `<Error><Code>X</Code><Message>${keys.AWS_SESSION_TOKEN}</Message></Error>`,
  })
  t.match(await told(storage.read('x')), /^X: X: \[hidden\]/)
  meet('PUT', { status: 501, body: 'no' })
  t.match(await told(storage.put('x', some)), /^NotImplemented/)
  const nobody = other({ AWS_ENDPOINT_URL: 'http://127.0.0.1:9' })
  t.match(await told(nobody.read('x')), /^ECONNREFUSED/)
  t.match(await told(nobody.putIfAbsent('x', some)), /^ECONNREFUSED/)
})

t.test('answers of strangers are not believed', async (t) => {
  const { storage, meet } = await begin(t)
  await storage.put('x', some)
  const page = (inside: string) => ({
    status: 200,
    body: `<ListBucketResult>${inside}</ListBucketResult>`,
  })
  const endless = page(
    '<IsTruncated>true</IsTruncated><NextContinuationToken>n</NextContinuationToken>',
  )
  for (const faults of [
    [{ status: 200, body: '<html></html>' }],
    [{ status: 200, body: '<!DOCTYPE x><ListBucketResult/>' }],
    [{ status: 200, body: '' }],
    [endless, endless],
    [page('<IsTruncated>true</IsTruncated>')],
  ]) {
    meet('GET', ...faults)
    await t.rejects(storage.list(''), { code: 'EIO' })
  }
  meet(
    'GET',
    page(
      '<Contents><Key>tables/other</Key></Contents><Contents><Key>tables/t/a/b</Key></Contents>',
    ),
  )
  t.same(await storage.list(''), [], 'names that were not asked for')
  const ranges = ['bytes 5-9/10', 'bytes 0-9/9999999999999999', 'none']
  for (const range of ranges) {
    meet('GET', { status: 206, body: 'abc', headers: { 'Content-Range': range } })
    await t.rejects(storage.open('x'), { code: 'EIO' }, range)
  }
  await storage.put('y', Buffer.alloc(100_000))
  const file = await storage.open('y')
  for (const answer of [
    { status: 200, body: '0123456789' },
    { status: 206, body: '0123456789', headers: { 'Content-Range': 'bytes 1-10/100000' } },
    { status: 206, body: '01234', headers: { 'Content-Range': 'bytes 0-9/100000' } },
  ]) {
    meet('GET', answer)
    await t.rejects(file.read(0, 10), { code: 'EIO' })
  }
})
