/** A connector that somebody wrote, in a directory that a standalone worker is told of. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { startBroker } from '../cli/running-broker.ts'
import { ask, startWorker, until } from './worker-process.ts'

t.setTimeout(120_000)

const ticker = `
let ticks = 0
export default ({ ConfigDef, key, int, string, primitive, sourceRecord }) => ({
  type: 'source',
  className: 'com.example.TickerConnector',
  version: '1.2',
  config: new ConfigDef({
    topic: key(string('ticks'), 'HIGH', 'Where ticks go.'),
    every: key(int(1000), 'LOW', 'Milliseconds between two ticks.'),
  }),
  connector: () => {
    let settings = new Map()
    return { start: (given) => void (settings = given), taskConfigs: () => [settings] }
  },
  task: () => {
    let context
    let settings
    return {
      start: (given, made) => {
        settings = given
        context = made
      },
      poll: async () => {
        const every = Number(settings.get('every') ?? 1000)
        await new Promise((resolve) => context.environment.timers.after(every, resolve))
        return [
          sourceRecord({
            topic: settings.get('topic') ?? 'ticks',
            valueSchema: primitive('STRING'),
            value: 'tick ' + ++ticks,
            sourcePartition: new Map([['clock', 'one']]),
            sourceOffset: new Map([['ticks', BigInt(ticks)]]),
          }),
        ]
      },
    }
  },
})
`

t.test(
  'it is listed, described and run; modules that are none are told and left out',
  async (t) => {
    const directory = t.testdir({
      kafka: {},
      plugins: {
        'ticker.mjs': ticker,
        'broken.mjs': 'export default 7',
        'README.txt': 'no module',
        lib: { 'index.cjs': 'module.exports = () => [{ type: "sink" }]', 'other.js': 'throw 1' },
      },
    })
    const { address, stop } = await startBroker(join(directory, 'kafka'))
    t.teardown(stop)
    const output = join(directory, 'out.txt')
    const { child, url } = await startWorker('standalone', directory, {
      'bootstrap.servers': address,
      'key.converter': 'org.apache.kafka.connect.storage.StringConverter',
      'value.converter': 'org.apache.kafka.connect.storage.StringConverter',
      'offset.storage.file.filename': join(directory, 'offsets'),
      'plugin.path': join(directory, 'plugins'),
    })
    t.teardown(() => child.interrupt())
    const { body: plugins } = await ask(`${url}/connector-plugins`)
    const found = plugins.find((one: { class: string }) => one.class.startsWith('com.example'))
    t.strictSame(found, { class: 'com.example.TickerConnector', type: 'source', version: '1.2' })
    const wrong = await ask(`${url}/connectors`, 'POST', {
      name: 'clock',
      config: { 'connector.class': 'Ticker', every: 'often' },
    })
    t.equal(wrong.status, 400)
    t.match(wrong.body.message, /Invalid value often for configuration every/)
    for (const [name, config] of [
      ['clock', { 'connector.class': 'Ticker', every: '20' }],
      ['out', { 'connector.class': 'FileStreamSink', topics: 'ticks', file: output }],
    ] as const)
      t.equal((await ask(`${url}/connectors`, 'POST', { name, config })).status, 201)
    await until(
      'it ticks',
      () => existsSync(output) && /tick 3\n/.test(readFileSync(output, 'utf8')),
    )
    child.interrupt()
    const { code, stdout } = await child.ended
    t.equal(code, 0)
    t.match(stdout, /No plug-in can be loaded from .*broken\.mjs/)
    t.match(stdout, /No plug-in can be loaded from .*index\.cjs/)
  },
)
