/** The command line as it is used: the compiled program, a broker, pipes, exit codes. */
import { join } from 'node:path'
import t from 'tap'
import { commandLine, startBroker } from './running-broker.ts'

const directory = t.testdir({ data: {} })
const broker = await startBroker(join(directory, 'data'))
t.teardown(() => broker.stop())

const { run, output } = commandLine(broker)

t.test('what is wrong with the line is said, with what would be right', async (t) => {
  const expectUsage = async (line: string, message: RegExp) => {
    const { code, stdout, stderr } = await run(line)
    t.equal(code, 2, line)
    t.equal(stdout, '', 'nothing on stdout')
    t.match(stderr, message)
  }
  await Promise.all([
    expectUsage('topcs list', /unknown command "topcs"\nDid you mean "topics"\?/),
    expectUsage('topics lst', /unknown verb "lst"\nDid you mean "list"\?/),
    expectUsage('groups reset g', /unknown verb "reset"\nDid you mean "reset-offsets"\?/),
    expectUsage(
      'topics create x --partitons 3',
      /unknown option --partitons\nDid you mean --partitions\?/,
    ),
    expectUsage('topics create', /TOPIC is missing/),
    expectUsage('topics create x --partitions many', /--partitions needs a whole number/),
    expectUsage('topics create x --partitions', /--partitions needs a value/),
    expectUsage('topics create x --config retention', /--config needs NAME=VALUE/),
    expectUsage('topics list --internal=yes', /--internal takes no value/),
  ])
  await Promise.all([
    expectUsage('produce x --compression gzipp', /cannot be "gzipp"\n.*Did you mean gzip\?/),
    expectUsage('topics list a b', /unexpected argument "b"/),
    expectUsage('consume x --group g --offset 3', /--group excludes/),
    expectUsage('groups reset-offsets g --topic x', /say where to/),
    expectUsage('groups list --type foo', /one of classic, consumer, share, streams/),
    expectUsage('configs describe tpic x', /"tpic" has no settings/),
    expectUsage('topics list -b host:99999', /is no address of a broker/),
    expectUsage('completion csh', /no completions for "csh"/),
  ])
})

t.test('help comes from the tables', async (t) => {
  const [overview, topics, create, version] = await Promise.all(
    ['--help', 'topics --help', 'topics create --help', '--version'].map((line) => output(line)),
  )
  t.match(overview, /Commands:\n {2}start .*[\s\S]* {2}doctor /)
  t.match(topics, /Verbs:\n {2}list/)
  t.match(create, /-p, --partitions N/)
  t.match(create, /Examples:\n/)
  t.match(version, /^millrace \d+\.\d+\.\d+\n$/)
  const [alone, group] = await Promise.all(
    ['connect-standalone --help', 'connect-distributed --help'].map((line) => output(line)),
  )
  t.match(
    alone,
    /Usage:\n {2}millrace connect-standalone WORKER \[CONNECTOR…\][\s\S]*Exit codes: 1/,
  )
  t.match(group, /Usage:\n {2}millrace connect-distributed WORKER [\s\S]*group\.id/)
  const [bash, fish] = await Promise.all([output('completion bash'), output('completion fish')])
  t.match(bash, /'topics create'\) words='--partitions/)
  t.match(fish, /-l replication-factor/)
})

t.test('nobody there', async (t) => {
  const { code, stderr } = await run('topics list -b 127.0.0.1:1')
  t.equal(code, 1)
  t.match(
    stderr,
    /cannot connect to 127\.0\.0\.1:1: connection refused\nIs a broker running there\?/,
  )
  t.match(stderr, /millrace start/)
  const doctor = await run('doctor -b 127.0.0.1:1')
  t.equal(doctor.code, 1)
  t.match(doctor.stdout, /^fail {2}bootstrap: cannot connect/)
})

t.test('topics and their settings', async (t) => {
  t.equal(await output('topics describe'), 'No topics.\n')
  const nobody = await run('configs describe broker 99')
  t.equal(nobody.code, 1)
  t.match(nobody.stderr, /broker 99 is not in the cluster now\n/)
  t.equal(await output('topics create orders -p 3 -c retention.ms=3600000'), 'orders created\n')
  const again = await run('topics create orders')
  t.equal(again.code, 1)
  t.match(again.stderr, /TOPIC_ALREADY_EXISTS/)
  t.match(JSON.parse(await output('topics create orders --if-not-exists --json')), [{ ok: true }])
  t.match(JSON.parse(await output('topics list --json')), [{ name: 'orders', partitions: 3 }])
  t.match(await output('topics describe orders'), /Settings +retention\.ms=3600000/)
  t.equal(await output('topics alter orders -p 4'), 'orders has 4 partitions\n')
  t.equal(await output('configs alter topic orders --unset retention.ms'), 'orders changed\n')
  t.match(await output('configs describe topic orders'), /min\.insync\.replicas +1 +cluster\n$/)
  const wrong = await run('configs alter topic orders --set retention.mss=1')
  t.equal(wrong.code, 1)
  t.match(wrong.stderr, /INVALID_CONFIG/)
  const missing = await run('topics describe nope')
  t.equal(missing.code, 1)
  t.match(missing.stderr, /UNKNOWN_TOPIC_OR_PARTITION.*\n`millrace topics list`/)
  const both = await run('topics delete orders nope')
  t.equal(both.code, 1, 'a part that failed is a failure')
  t.equal(both.stdout, 'orders deleted\n')
})

t.test('the cluster, its directories, its health', async (t) => {
  const [described, id, features, quorum, versions, logdirs, doctor] = await Promise.all(
    [
      'cluster describe --json',
      'cluster id',
      'cluster features',
      'cluster quorum',
      'cluster api-versions --json',
      'logdirs --json',
      'doctor',
    ].map((line) => output(line)),
  )
  t.match(JSON.parse(described!), { clusterId: id!.trim(), controllerId: 1, brokers: [{ id: 1 }] })
  t.match(features, /metadata\.version +\d+/)
  t.match(quorum, /Leader +1/)
  t.ok(JSON.parse(versions!).some((row: { name: string }) => row.name === 'Produce'))
  t.match(JSON.parse(logdirs!), [{ path: join(directory, 'data'), error: null }])
  t.notMatch(doctor, /fail|could not/)
  t.match(doctor, /ok {4}addresses: broker 1 is reached at 127\.0\.0\.1/)
})
