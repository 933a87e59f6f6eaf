/** When V8 is asked to collect buffers that nobody needs any more, and when it is left alone. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { IdleCollection } from '../../src/environment/node/idle-collection.ts'

const mb = 1024 * 1024

t.test('V8 is nudged once a peak is over, and not for what is in use', async (t) => {
  let bytes: number | undefined = 0
  let nudges = 0
  let isBusy = false
  const collection = new IdleCollection({
    isBusy: () => isBusy,
    measure: () => bytes,
    nudge: () => nudges++,
  })
  const lookAt = (megabytes: number) => {
    bytes = megabytes * mb
    nudges = 0
    collection.look()
    return nudges > 0
  }
  /** At which of the next looks V8 is nudged. */
  const nudgesAt = (looks: number, megabytes: number) =>
    Array.from({ length: looks }, () => lookAt(megabytes)).flatMap((is, at) => (is ? [at] : []))
  t.notOk(lookAt(30))
  t.notOk(lookAt(30))
  t.notOk(lookAt(700), 'it rises')
  t.notOk(lookAt(1400), 'and rises')
  isBusy = true
  t.same(nudgesAt(10, 1401), [], 'there is much to do')
  isBusy = false
  t.ok(lookAt(1401), 'it is level')
  t.notOk(lookAt(35), 'that was garbage')
  t.notOk(lookAt(36))
  t.same(nudgesAt(4, 600), [3], 'the less there is, the later')
  t.notOk(lookAt(35))
  const inUse = nudgesAt(1600, 130)
  t.same(
    inUse,
    [104, 314, 734],
    'what is in use is looked at less and less often, and then no more',
  )
  t.same(nudgesAt(1000, 190), [], 'nor for a little more')
  t.same(nudgesAt(241, 196), [240], 'until there is far more')
  bytes = undefined
  collection.look()
  t.notOk(lookAt(40), 'it was given back')
  t.same(nudgesAt(41, 200), [40])
  t.notOk(lookAt(120), 'a part was garbage')
  t.same(nudgesAt(163, 120), [162], 'perhaps there is more')
  t.notOk(lookAt(119))
})

const collection = new URL('../../src/environment/node/idle-collection.js', import.meta.url)

/** Opens all files that it may, and looks; says how that went. */
const program = `
  import fs from 'node:fs'
  import { collectWhenIdle } from ${JSON.stringify(collection.href)}
  collectWhenIdle()
  const path = ${JSON.stringify(fileURLToPath(collection))}
  let code
  while (code === undefined) try { fs.openSync(path) } catch (error) { code = error.code }
  setTimeout(() => process.exit(code === 'EMFILE' ? 0 : 3), 2500)
`

t.test(
  'a process that may open no more files lives on',
  { skip: process.platform === 'win32' && 'there is no ulimit' },
  async (t) => {
    const args = ['-c', 'ulimit -n 100; exec "$0" "$@"', process.execPath]
    const input = ['--input-type=module', '--eval', program]
    const child: ChildProcess = spawn('sh', [...args, ...input], { stdio: 'inherit' })
    t.strictSame(await once(child, 'exit'), [0, null])
  },
)

/** Makes garbage once it was looked how little there is, and ends when it is gone. */
const garbage = `
  import { collectWhenIdle } from ${JSON.stringify(collection.href)}
  collectWhenIdle()
  const usedMb = () => process.memoryUsage().heapUsed / 1024 / 1024
  setTimeout(() => {
    const living = []
    for (let count = 0; count < 4_000_000; count++) living.push({ count, list: [count] })
    const peakMb = usedMb()
    setInterval(() => usedMb() < peakMb / 3 && process.exit(0), 100)
  }, 2500)
  setTimeout(() => process.exit(3), 110_000)
`

t.test('objects that nobody needs any more go as well', { timeout: 120_000 }, async (t) => {
  const args = ['--input-type=module', '--eval', garbage]
  const child = spawn(process.execPath, args, { stdio: 'inherit' })
  t.strictSame(await once(child, 'exit'), [0, null])
})
