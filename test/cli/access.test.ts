/** Who may do what, passwords and quotas, as the command line sets and shows them. */
import { join } from 'node:path'
import t from 'tap'
import { commandLine, startBroker } from './running-broker.ts'

const directory = t.testdir({ open: {}, closed: {} })
const broker = await startBroker(join(directory, 'closed'), {
  'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
  'super.users': 'User:ANONYMOUS',
})
t.teardown(() => broker.stop())

const { run, output } = commandLine(broker)

t.test('acls', async (t) => {
  t.equal(await output('acls list'), 'No access control entries.\n')
  t.equal(
    await output('acls add topic orders --allow User:alice -o read -o describe-configs'),
    'ALLOW User:alice READ on TOPIC orders added\n' +
      'ALLOW User:alice DESCRIBE_CONFIGS on TOPIC orders added\n',
  )
  await output('acls add topic ord --prefixed --deny User:* -o delete --host 10.0.0.7')
  await output('acls add topic * --allow User:bob')
  await output('acls add cluster --allow User:admin -o alter')
  t.equal(
    await output('acls list topic orders'),
    [
      'TYPE   NAME    PATTERN   PRINCIPAL   PERMISSION  OPERATION         HOST',
      'topic  *       literal   User:bob    allow       all               *',
      'topic  ord     prefixed  User:*      deny        delete            10.0.0.7',
      'topic  orders  literal   User:alice  allow       describe-configs  *',
      'topic  orders  literal   User:alice  allow       read              *',
      '',
    ].join('\n'),
    'all that is about the topic',
  )
  t.same(JSON.parse(await output('acls list --principal User:admin --json')), [
    {
      resourceType: 'CLUSTER',
      resourceName: 'kafka-cluster',
      patternType: 'LITERAL',
      principal: 'User:admin',
      host: '*',
      operation: 'ALTER',
      permission: 'ALLOW',
    },
  ])
  t.match(await output('acls remove topic orders --operation read'), /Removed: 1 rule\n$/)
  t.match(await output('acls remove topic orders --operation read'), /nothing was removed/)
  t.match(await output('acls remove topic orders --pattern match'), /Removed: 3 rules\n$/)
  t.match(await output('acls list'), /^TYPE.*\ncluster {2}kafka-cluster .*\n$/)
})

t.test('users', async (t) => {
  t.equal(await output('users list'), 'No user has a password.\n')
  await output('users set alice', 'secret\n')
  await output('users set alice --password other -m SCRAM-SHA-256 --iterations 8192')
  t.equal(
    await output('users list'),
    'USER   MECHANISM      ITERATIONS\n' +
      'alice  SCRAM-SHA-256        8192\n' +
      'alice  SCRAM-SHA-512        4096\n',
  )
  const weak = await run('users set bob --password x --iterations 1')
  t.equal(weak.code, 1)
  t.match(weak.stderr, /bob: Too few iterations/)
  const missing = await run('users list bob')
  t.equal(missing.code, 1)
  t.match(missing.stderr, /bob/)
  await output('users delete alice -m SCRAM-SHA-256')
  t.match(JSON.parse(await output('users list --json')), [
    { name: 'alice', credentials: [{ mechanism: 'SCRAM-SHA-512', iterations: 4096 }] },
  ])
  t.equal((await run('users set bob')).code, 2, 'an empty password')
})

t.test('quotas', async (t) => {
  t.equal(await output('quotas list'), 'No quotas.\n')
  await output('quotas set --user alice producer_byte_rate=1048576 request_percentage=12.5')
  await output('quotas set --user-default --client-default consumer_byte_rate=2048')
  await output('quotas set --ip 10.0.0.7 connection_creation_rate=10')
  t.equal(
    await output('quotas list'),
    [
      'ENTITY                               QUOTA                       LIMIT',
      'ip 10.0.0.7                          connection_creation_rate       10',
      'user (default), client-id (default)  consumer_byte_rate           2048',
      'user alice                           producer_byte_rate        1048576',
      'user alice                           request_percentage           12.5',
      '',
    ].join('\n'),
  )
  await output('quotas delete --user alice request_percentage')
  t.same(JSON.parse(await output('quotas list --user alice --json')), [
    { entity: { user: 'alice' }, quotas: { producer_byte_rate: 1048576 } },
  ])
  await output('quotas delete --user alice')
  t.equal(await output('quotas delete --user alice'), 'user alice has no quotas.\n')
  const wrong = await run('quotas set --user alice producer_rate=1')
  t.equal(wrong.code, 1)
  t.match(wrong.stderr, /Invalid configuration key producer_rate/)
})

t.test('what is wrong with the line, and a broker that asks nobody who they are', async (t) => {
  const expect = async (line: string, message: RegExp) => {
    const { code, stderr } = await run(line)
    t.equal(code, 2, line)
    t.match(stderr, message)
  }
  await expect('acls add topic orders', /say whom|nobody is named/i)
  await expect('acls add topc orders --allow User:a', /TYPE is one of/)
  await expect('acls add topic orders --allow alice', /is no principal/)
  await expect('acls add topic orders --allow User:a -o raed', /Did you mean read/)
  await expect('acls remove topic', /NAME is missing/)
  await expect('quotas set producer_byte_rate=1', /whose quotas/)
  await expect('quotas set --user a producer_byte_rate=much', /no number/)
  await expect('quotas list --user a --user-default', /the default as well/)
  const open = await startBroker(join(directory, 'open'))
  t.teardown(() => open.stop())
  const { code, stderr } = await run('acls list', '', open.address)
  t.equal(code, 1)
  t.match(stderr, /No Authorizer is configured/)
})

t.test(
  'who may do nothing is told whom to ask, and what was not looked at is not well',
  async (t) => {
    const locked = await startBroker(join(directory, 'locked'), {
      'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
    })
    t.teardown(() => locked.stop())
    const refused = await run('topics create orders', '', locked.address)
    t.equal(refused.code, 1)
    t.match(refused.stderr, /_AUTHORIZATION_FAILED\)?\nOne of super\.users/)
    const doctor = await run('doctor', '', locked.address)
    t.match(doctor.stdout, /^warn {2}settings: could not be checked: /m)
  },
)
