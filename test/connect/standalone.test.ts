/** A standalone worker: its file of offsets, which is Kafka Connect's own, and the process with its exit codes. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { readSerializedMap, writeSerializedMap } from '../../src/connect/storage/serialized-map.ts'
import { start, startBroker } from '../cli/running-broker.ts'
import { propertiesOf, startWorker, until } from './worker-process.ts'

t.setTimeout(120_000)

/** Written by Java: four entries, of which one is null and two have the same array for a value. */
const ofJava = Buffer.from(
  'aced0005737200116a6176612e7574696c2e486173684d61700507dac1c31660d103000246000a6c6f6164466163746f724900097468726573686f6c6478703f4000000000000c77080000001000000004757200025b42acf317f8060854e00200007870000000175b2273222c7b2266696c656e616d65223a222f62227d5d707571007e0002000000016c7571007e0002000000077b2278223a317d7571007e0002000000175b2273222c7b2266696c656e616d65223a222f61227d5d7571007e00020000000f7b22706f736974696f6e223a31327d7571007e0002000000016b71007e000578',
  'hex',
)

t.test('a map that Java wrote is read, and one that is written is the same to the byte', (t) => {
  const map = readSerializedMap(ofJava)
  const texts = Array.from(map, ([key, value]) => [key, value.toString()])
  t.strictSame(texts, [
    ['l', '{"x":1}'],
    ['["s",{"filename":"/a"}]', '{"position":12}'],
    ['k', '{"x":1}'],
  ])
  const written = writeSerializedMap(map)
  t.strictSame(readSerializedMap(written), map)
  // Up to the number of entries, and but for what came again, it is Java's.
  const head = ofJava.indexOf(Buffer.from('7708', 'hex')) + 6
  t.strictSame(written.subarray(0, head), ofJava.subarray(0, head))
  const entry = Buffer.from('["s",{"filename":"/a"}]')
  t.ok(written.includes(entry))
  t.strictSame(readSerializedMap(writeSerializedMap(new Map())), new Map())
  t.end()
})

t.test(
  'a file that is cut or changed anywhere is refused or read, and never more than that',
  (t) => {
    for (let length = 0; length < ofJava.length - 1; length++)
      t.throws(() => readSerializedMap(ofJava.subarray(0, length)), { name: 'ConnectException' })
    for (let at = 0; at < ofJava.length; at++) {
      const changed = Buffer.from(ofJava)
      changed[at]! ^= 0x55
      try {
        t.ok(readSerializedMap(changed).size <= 4)
      } catch (error) {
        t.match(error, { name: 'ConnectException' })
      }
    }
    t.end()
  },
)

t.test('files of connectors run, and go on where they were with the next start', async (t) => {
  const directory = t.testdir({ kafka: {} })
  const { address, stop } = await startBroker(join(directory, 'kafka'))
  t.teardown(stop)
  const [input, output] = [join(directory, 'in.txt'), join(directory, 'out.txt')]
  const source = join(directory, 'source.properties')
  const sink = join(directory, 'sink.json')
  writeFileSync(
    source,
    propertiesOf({
      name: 'in',
      'connector.class': 'FileStreamSource',
      topic: 'lines',
      file: input,
    }),
  )
  const sinkConfig = { 'connector.class': 'FileStreamSink', topics: 'lines', file: output }
  writeFileSync(sink, JSON.stringify({ name: 'out', config: sinkConfig }))
  const settings = {
    'bootstrap.servers': address,
    'key.converter': 'org.apache.kafka.connect.storage.StringConverter',
    'value.converter': 'org.apache.kafka.connect.storage.StringConverter',
    'offset.storage.file.filename': join(directory, 'offsets'),
    'no.such.setting': 'x',
  }
  const lines = () => (existsSync(output) ? readFileSync(output, 'utf8') : '')
  writeFileSync(input, 'one\ntwo\n')
  const first = await startWorker('standalone', directory, settings, [source, sink])
  t.teardown(() => first.child.interrupt())
  await until('two lines are out', () => lines() === 'one\ntwo\n')
  first.child.interrupt()
  const { code, stdout } = await first.child.ended
  t.equal(code, 0)
  t.match(stdout, /no\.such\.setting has no effect/)
  writeFileSync(input, 'one\ntwo\nthree\n')
  const second = await startWorker('standalone', directory, settings, [source, sink])
  t.teardown(() => second.child.interrupt())
  await until('the third line is out', () => lines() === 'one\ntwo\nthree\n')
  const page = await (await fetch(`${second.url}/metrics`)).text()
  t.match(page, /\nkafka_connect_worker_connector_count 2\n/)
  t.match(page, /source_task_source_record_write_total\{connector="in",task="0"\} 1\n/)
  t.match(page, /source_task_source_record_active_count\{connector="in",task="0"\} 0\n/)
  t.match(page, /\nprocess_resident_memory_bytes \d+\n/)
  second.child.interrupt()
  t.equal((await second.child.ended).code, 0)
})

t.test('it ends with Kafka’s exit codes, and says why', async (t) => {
  const directory = t.testdir({
    'wrong.properties': 'bootstrap.servers=localhost:1\n',
    'secured.properties': propertiesOf({
      'bootstrap.servers': 'localhost:1',
      'offset.storage.file.filename': '/tmp/none',
      'security.protocol': 'SSL',
      'ssl.truststore.location': '/none',
    }),
    'foreign.properties': propertiesOf({
      'bootstrap.servers': 'localhost:1',
      'offset.storage.file.filename': join(t.testdirName, 'foreign'),
      listeners: 'http://127.0.0.1:0',
    }),
    foreign: 'this was never written by a worker',
  })
  const cases: [number, RegExp, string[]][] = [
    [1, /Usage: millrace connect-standalone/, []],
    [
      2,
      /cannot read .*none\.properties: there is no such file/,
      [join(directory, 'none.properties')],
    ],
    [
      2,
      /Missing required configuration "offset.storage.file.filename" which has no default value/,
      [join(directory, 'wrong.properties')],
    ],
    [2, /ssl.truststore.type=JKS cannot be read here/, [join(directory, 'secured.properties')]],
    [
      2,
      /Connector configuration at .*foreign': it is missing the mandatory 'name'/,
      [join(directory, 'secured.properties'), join(directory, 'foreign')],
    ],
    [3, /foreign is not of Kafka Connect/, [join(directory, 'foreign.properties')]],
  ]
  for (const [code, message, words] of cases) {
    const ended = await start(['connect-standalone', ...words]).ended
    t.equal(ended.code, code, ended.stderr)
    t.match(ended.stderr, message)
  }
})
