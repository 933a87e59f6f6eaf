/**
 * Joins the compiled files into a few: Node then reads 4 files instead of 300. The broker becomes one file
 * of its own, as the programs of its threads do, and V8's code cache of it is kept from a start to the
 * first ready broker. Together they more than halve the time from `exec` to the first answered request.
 * Packages stay packages, but for those of every start. Run by `npm ci` and `npm run build`.
 */
import { spawnSync } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { type RollupWarning, rollup } from 'rollup'
import { asFunction } from '../src/environment/node/compiled-file.ts'
import { brokerFile, cacheFile, compileBroker } from '../src/launcher.ts'
import { joinPackages } from './joined-packages.ts'
import { requireLater } from './later-modules.ts'

const build = fileURLToPath(new URL('..', import.meta.url))
const output = join(build, 'bundle')
const main = join(build, 'src/main.js')
const launcher = join(build, 'src/launcher.js')

const threads = ['compaction-thread', 'connect-thread', 'connector-thread', 'conversion-thread']

const packages = /^(node:|pino|lz4|snappyjs|crc-32)/
/** Loaded by every start; the others are native, or may be missing. */
const joinedPackages = ['pino', 'snappyjs']
/** Few brokers need them, and they take milliseconds to load: each is loaded when something of it is asked for. */
const laterModules = ['node:assert', 'node:assert/strict', 'node:http', 'node:https', 'node:tls']
/**
 * Node's global object has getters for these, which V8 calls anew each time, some thirty times for a request;
 * constants of the file are part of its code.
 */
const ownGlobals =
  "const { Buffer } = require('node:buffer'), { performance } = require('node:perf_hooks');"
const onwarn = (warning: RollupWarning) => {
  // TypeScript's own helper for the import of a computed name looks there for one that is loaded already.
  if (warning.code === 'THIS_IS_UNDEFINED' && warning.id?.endsWith('node/modules.js')) return
  throw new Error(warning.message)
}

if (process.argv[2] === '--cache') await writeCache()
else await joinFiles()

async function joinFiles(): Promise<void> {
  rmSync(output, { recursive: true, force: true })
  await joinIntoOne(main, brokerFile, ownGlobals)
  const brokerPath = join(output, brokerFile)
  const joined = joinPackages(brokerPath, (name) => joinedPackages.includes(name))
  // It would fail when it is reached, and tests of the sources would not see it.
  if (/\bimport\(['"]node:/.test(joined))
    throw new Error('code from the cache cannot import() modules of Node')
  writeFileSync(brokerPath, asFunction(toAscii(requireLater(joined, laterModules))))
  for (const thread of threads) await joinIntoOne(join(build, `src/${thread}.js`), `${thread}.cjs`)
  // For workers that are processes, whose files are named so.
  writeFileSync(join(output, 'connector-thread.js'), "require('./connector-thread.cjs')\n")
  writeFileSync(join(output, 'package.json'), '{ "type": "commonjs" }\n')
  const rest = await rollup({
    input: { millrace: launcher, cli: join(build, 'src/cli/millrace.js') },
    external: packages,
    // The command line starts a broker as `npm start` does.
    plugins: [
      {
        name: 'start from the launcher',
        resolveId: (id, importer) =>
          importer !== undefined && join(importer, '..', id) === main ? launcher : null,
      },
    ],
    onwarn,
  })
  await rest.write({
    dir: output,
    // Node starts some milliseconds sooner where it has no modules of ECMAScript to load.
    format: 'cjs',
    // Every command of the command line is a file of its own, loaded when it is asked for.
    chunkFileNames: '[name].js',
    // Rollup drops the first line of the entries, without which a shell cannot run them.
    banner: ({ isEntry }) => (isEntry ? '#!/usr/bin/env node' : ''),
    sourcemap: false,
  })
  await rest.close()
  chmodSync(join(output, 'cli.js'), 0o755)
  const { status } = spawnSync(process.execPath, [fileURLToPath(import.meta.url), '--cache'], {
    stdio: ['ignore', 'ignore', 'inherit'],
    // Without variables that are settings of another broker.
    env: Object.fromEntries(
      Object.entries(process.env).filter(([name]) => !/^(KAFKA|MILLRACE)_/.test(name)),
    ),
  })
  if (status !== 0) {
    console.error('No code cache, since no broker could be started here: starts will take longer')
  }
}

async function joinIntoOne(input: string, name: string, intro = ''): Promise<void> {
  const joined = await rollup({ input, external: packages, onwarn })
  await joined.write({
    file: join(output, name),
    format: 'cjs',
    intro,
    inlineDynamicImports: true,
    sourcemap: false,
  })
  await joined.close()
}

/** V8 keeps a text of such characters alone in half the memory, and nothing has to be decoded. */
function toAscii(text: string): string {
  const escaped = (character: string) =>
    `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
  return text.replace(/[^\0-\x7f]/g, escaped)
}

/** Starts a broker and keeps what V8 compiled until it was ready; then ends it. */
async function writeCache(): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-bundle-'))
  process.on('exit', () => rmSync(directory, { recursive: true, force: true }))
  const bundle = pathToFileURL(`${output}/`)
  const {
    script,
    exports: { start },
  } = compileBroker(bundle)
  const settings = [`log.dirs=${directory}`, 'listeners=PLAINTEXT://127.0.0.1:0', 'http.listeners=']
  await start(settings.flatMap((setting) => ['--override', setting]))
  writeFileSync(new URL(cacheFile, bundle), script.createCachedData())
  process.kill(process.pid, 'SIGTERM')
}
