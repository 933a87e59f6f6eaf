import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { test } from 'tap'
import { asFunction } from '../src/environment/node/compiled-file.ts'
import { brokerFile, cacheFile, compileBroker } from '../src/launcher.ts'

/** Stands for the broker: says what it was started with, and what the module system gave it. */
const source = asFunction(`
  const path = require('node:path')
  exports.start = async (args) => { globalThis.launched = [...args, path.basename(__filename)] }
`)

test('a broker is compiled from its code cache, and without it as well', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-launcher-'))
  t.teardown(() => rmSync(directory, { recursive: true }))
  const bundle = pathToFileURL(`${directory}/`)
  const launched = async () => {
    const compiled = compileBroker(bundle)
    await compiled.exports.start(['--override', 'a=b'])
    t.same(Reflect.get(globalThis, 'launched'), ['--override', 'a=b', brokerFile])
    return compiled
  }

  t.throws(() => compileBroker(bundle), { code: 'ENOENT' }, 'no broker, no start')
  writeFileSync(join(directory, brokerFile), source)
  const first = await launched()
  t.equal(first.isFromCache, false)

  writeFileSync(join(directory, cacheFile), first.script.createCachedData())
  t.equal((await launched()).isFromCache, true)

  // Each time another source: what V8 has compiled in this process it does not compile again.
  writeFileSync(join(directory, brokerFile), `${source};`)
  t.equal((await launched()).isFromCache, false, 'V8 refuses what it made of another source')

  writeFileSync(join(directory, brokerFile), `${source};;`)
  writeFileSync(join(directory, cacheFile), 'of another version of Node')
  t.equal((await launched()).isFromCache, false, 'and what it did not write')
})
