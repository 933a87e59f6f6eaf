/** The disk in memory: what it keeps when the process dies, and what it may lose with the power. */
import t from 'tap'
import { MemoryDisk } from './memory-disk.ts'
import { SeededRandom } from './random.ts'

const bytes = (text: string): Buffer[] => [Buffer.from(text)]

t.test('behaves as a disk', async (t) => {
  const disk = new MemoryDisk({ totalBytes: 100 })
  t.throws(() => disk.open('/a/log', 'create'), { code: 'ENOENT' })
  disk.makeDirectory('/a/b')
  const file = disk.open('/a/log', 'create')
  file.write([Buffer.from('hello'), Buffer.from(' world')], 2)
  const target = Buffer.alloc(20)
  t.equal(file.read(target, 0), 13)
  t.equal(target.toString('latin1', 0, 13), '\0\0hello world')
  t.equal(await file.readAsync(target, 8), 5)
  t.throws(() => file.write([Buffer.alloc(90)], 13), { code: 'ENOSPC' })
  t.equal(disk.capacity('/a').usableBytes, 0, 'what there was room for is written')
  file.truncate(7)
  t.equal(disk.readFile('/a/log').toString(), '\0\0hello')
  t.same(disk.list('/a'), [
    { name: 'b', isDirectory: true },
    { name: 'log', isDirectory: false },
  ])
  disk.rename('/a', '/c')
  t.ok(disk.exists('/c/log'))
  t.equal(disk.exists('/a'), false)
  file.write(bytes('x'), 0)
  t.equal(disk.readFile('/c/log').toString(), 'x\0hello', 'a file goes on under its new name')
  disk.remove('/c/log')
  disk.remove('/c/log')
  await disk.removeTree('/c')
  t.same(disk.list('/'), [])
  t.equal(disk.capacity('/').usableBytes, 100)
})

t.test('fails when told to', async (t) => {
  const disk = new MemoryDisk()
  const file = disk.open('/log', 'create')
  disk.fault = (operation, path) => (operation === 'sync' && path === '/log' ? 'EIO' : undefined)
  file.write(bytes('x'), 0)
  await t.rejects(file.sync(), { code: 'EIO' })
  t.throws(() => file.syncNow(), { code: 'EIO' })
})

t.test('a killed process leaves what it wrote, and its lock is gone', async (t) => {
  const disk = new MemoryDisk()
  disk.lock('/')
  t.throws(() => disk.lock('/'), { code: 'ELOCKED' })
  const file = disk.open('/log', 'create')
  file.write(bytes('kept'), 0)
  const next = disk.kill()
  next.lock('/').release()
  t.equal(next.readFile('/log').toString(), 'kept')
  t.throws(() => file.write(bytes('lost'), 0), { code: 'ESTALE' })
  await t.rejects(file.sync(), { code: 'ESTALE' })
})

t.test('power loss takes only what was not synced', async (t) => {
  const outcomes = new Set<string>()
  for (let seed = 0; seed < 300; seed++) {
    const disk = new MemoryDisk()
    disk.makeDirectory('/d')
    disk.syncDirectory('/')
    const file = disk.open('/d/log', 'create')
    file.write(bytes('synced'), 0)
    await file.sync()
    disk.syncDirectory('/d')
    file.write(bytes('++'), 6)
    const late = file.sync()
    file.write(bytes('lost'), 8)
    await late
    disk.open('/d/new', 'create')
    disk.open('/d/newer', 'create')
    const next = disk.crash(new SeededRandom(seed))
    const content = next.readFile('/d/log').toString()
    t.ok(content.startsWith('synced++'), content)
    const names = next.list('/d').map(({ name }) => name)
    outcomes.add(`${content.length} ${names.join(' ')}`)
    t.notOk(names.includes('newer') && !names.includes('new'), 'names survive in order')
  }
  for (const names of ['log', 'log new', 'log new newer']) {
    t.ok(outcomes.has(`8 ${names}`) && outcomes.has(`12 ${names}`), `both with ${names}`)
  }
})

t.test('overwriting and cutting are undone too', (t) => {
  const seen = new Set<string>()
  for (let seed = 0; seed < 200; seed++) {
    const disk = new MemoryDisk()
    const file = disk.open('/log', 'create')
    disk.syncDirectory('/')
    file.write(bytes('abcdef'), 0)
    file.syncNow()
    file.truncate(3)
    file.write(bytes('XY'), 1)
    file.write(bytes('Z'), 5)
    t.equal(disk.readFile('/log').toString(), 'aXY\0\0Z')
    seen.add(disk.crash(new SeededRandom(seed)).readFile('/log').toString())
  }
  t.ok(seen.has('abcdef'))
  t.ok(seen.has('aXY\0\0Z'))
  for (const content of seen) t.equal(content[0], 'a')
  t.end()
})

t.test('a rename over a file is all or nothing, but content needs its own sync', (t) => {
  const seen = new Set<string>()
  for (let seed = 0; seed < 200; seed++) {
    const disk = new MemoryDisk()
    for (const [name, content] of [
      ['old', 'old content'],
      ['tmp', 'new'],
    ] as const) {
      const file = disk.open(`/${name}`, 'create')
      file.write(bytes(content), 0)
      if (name === 'old') file.syncNow()
    }
    disk.syncDirectory('/')
    disk.rename('/tmp', '/old')
    const next = disk.crash(new SeededRandom(seed))
    seen.add(next.exists('/tmp') ? 'old' : `renamed, ${next.readFile('/old').length} bytes`)
  }
  t.ok(seen.has('old'))
  t.ok(seen.has('renamed, 0 bytes'))
  t.ok(seen.has('renamed, 3 bytes'))
  t.end()
})

t.test('what a failed sync should have saved is gone, whatever is synced later', async (t) => {
  for (let seed = 1; seed <= 20; seed++) {
    const random = new SeededRandom(seed)
    const disk = new MemoryDisk({ random })
    const file = disk.open('/log', 'create')
    file.write(bytes('durable,'), 0)
    file.syncNow()
    disk.syncDirectory('/')
    file.write(bytes('lost,'), 8)
    disk.fault = (operation) => (operation === 'sync' ? 'EIO' : undefined)
    await t.rejects(file.sync(), { code: 'EIO' })
    disk.fault = undefined
    t.same(disk.filesWithLosses(), ['/log'])
    t.equal(disk.readFile('/log').toString(), 'durable,lost,', 'its process still sees it')
    await file.sync()
    file.write(bytes('later'), 13)
    await file.sync()
    const left = disk.crash(random).readFile('/log').toString('latin1')
    t.equal(left.slice(0, 8), 'durable,')
    t.equal(left.slice(13), 'later')
    t.match(left.slice(8, 13), /^(l|\0)(o|\0)(s|\0)(t|\0)(,|\0)$/)
  }
})

t.test('a bit turns over at rest', async (t) => {
  const disk = new MemoryDisk()
  disk.open('/log', 'create').write(bytes('a'), 0)
  const next = disk.kill()
  next.flipBit('/log', 1)
  t.equal(next.readFile('/log').toString(), 'c')
  t.same([...next.snapshot('durable')], [])
  t.equal(`${next.snapshot('written').get('/log')}`, 'c')
})
