/**
 * What an administrator does with Kafka's tools on one node, as a story: each command may need those
 * before it. `at` is the bootstrap server, `files` a folder in which `jsonFiles` lie.
 */

export interface ToolCommand {
  /** As the script of Kafka's distribution is called, and what it is to do. */
  readonly name: string
  readonly main: string
  readonly args: readonly string[]
  /** What it reads. */
  readonly input?: string
  /** Its output is compared line by line in any order. */
  readonly anyOrder?: boolean
  /** Only its exit code is compared: it prints speeds, or what was there at the moment. */
  readonly exitOnly?: boolean
  /** Why its output is meant to differ. */
  readonly differs?: string
}

const tools = 'org.apache.kafka.tools.'
const groupTools = `${tools}consumer.group.`
const partition = (topic: string, index: number) => ({ topic, partition: index })

/** Written before the story begins. */
export const jsonFiles: Readonly<Record<string, unknown>> = {
  'delete-records.json': { version: 1, partitions: [{ ...partition('story', 0), offset: 2 }] },
  'delete-too-many.json': { version: 1, partitions: [{ ...partition('story', 0), offset: 999 }] },
  'elect.json': { partitions: [partition('story', 0), partition('story', 1)] },
  'elect-unknown.json': { partitions: [partition('missing', 0)] },
  'move-topics.json': { version: 1, topics: [{ topic: 'story' }] },
  'reassign.json': {
    version: 1,
    partitions: [{ ...partition('story', 0), replicas: [1], log_dirs: ['any'] }],
  },
  'reassign-wrong.json': { version: 1, partitions: [{ ...partition('story', 0), replicas: [7] }] },
}

const rows = Array.from({ length: 30 }, (_, row) => `key-${row % 7}:value-${row}\n`).join('')

export function story(at: string, files: string): readonly ToolCommand[] {
  const server = ['--bootstrap-server', at]
  const make = (script: string, main: string) => {
    return (what: string, args: readonly string[], options: Partial<ToolCommand> = {}) => ({
      name: `${script} ${what}`,
      main,
      args: [...server, ...args],
      ...options,
    })
  }
  const topics = make('kafka-topics', `${tools}TopicCommand`)
  const configs = make('kafka-configs', 'kafka.admin.ConfigCommand')
  const groups = make('kafka-consumer-groups', `${groupTools}ConsumerGroupCommand`)
  const shareGroups = make('kafka-share-groups', `${groupTools}ShareGroupCommand`)
  const streamsGroups = make('kafka-streams-groups', `${tools}streams.StreamsGroupCommand`)
  const allGroups = make('kafka-groups', `${tools}GroupsCommand`)
  const offsets = make('kafka-get-offsets', `${tools}GetOffsetShell`)
  const producer = make('kafka-console-producer', `${tools}ConsoleProducer`)
  const consumer = make('kafka-console-consumer', `${tools}consumer.ConsoleConsumer`)
  const shareConsumer = make(
    'kafka-console-share-consumer',
    `${tools}consumer.ConsoleShareConsumer`,
  )
  const transactions = make('kafka-transactions', `${tools}TransactionsCommand`)
  const features = make('kafka-features', `${tools}FeatureCommand`)
  const quorum = make('kafka-metadata-quorum', `${tools}MetadataQuorumCommand`)
  const metrics = make('kafka-client-metrics', `${tools}ClientMetricsCommand`)
  const election = make('kafka-leader-election', `${tools}LeaderElectionCommand`)
  const reassign = make('kafka-reassign-partitions', `${tools}reassign.ReassignPartitionsCommand`)
  const deletion = make('kafka-delete-records', `${tools}DeleteRecordsCommand`)
  const logDirs = make('kafka-log-dirs', `${tools}LogDirsCommand`)
  const acls = make('kafka-acls', `${tools}AclCommand`)
  const tokens = make('kafka-delegation-tokens', `${tools}DelegationTokenCommand`)
  const resetter = make('kafka-streams-application-reset', `${tools}StreamsResetter`)
  const versions = make('kafka-broker-api-versions', `${tools}BrokerApiVersionsCommand`)
  const cluster = (what: string, args: readonly string[]): ToolCommand => ({
    name: `kafka-cluster ${what}`,
    main: `${tools}ClusterTool`,
    args: [what, ...server, ...args],
  })
  const perf = (what: string, main: string, args: readonly string[]): ToolCommand => ({
    name: what,
    main: `${tools}${main}`,
    args,
    exitOnly: true,
  })
  const reset = (what: string, ...args: string[]) =>
    groups(`--reset-offsets ${what}`, ['--reset-offsets', '--group', 'readers', ...args], {
      anyOrder: true,
    })
  return [
    topics('--list (nothing)', ['--list']),
    topics('--create', ['--create', '--topic', 'story', '--partitions', '2']),
    topics('--create again', ['--create', '--topic', 'story']),
    topics('--create --if-not-exists', ['--create', '--if-not-exists', '--topic', 'story']),
    topics('--create with configs', [
      ...['--create', '--topic', 'kept', '--config', 'cleanup.policy=compact'],
      ...['--config', 'segment.ms=60000'],
    ]),
    topics('--create with an unknown config', [
      ...['--create', '--topic', 'never', '--config', 'no.such=1'],
    ]),
    topics('--create with an invalid config', [
      ...['--create', '--topic', 'never', '--config', 'retention.ms=soon'],
    ]),
    topics('--create with an invalid name', ['--create', '--topic', 'not good!']),
    topics('--create with replication factor 3', [
      ...['--create', '--topic', 'never', '--replication-factor', '3'],
    ]),
    topics('--create with an assignment', [
      ...['--create', '--topic', 'placed', '--replica-assignment', '1,1,1'],
    ]),
    topics('--create with a wrong assignment', [
      ...['--create', '--topic', 'never', '--replica-assignment', '9'],
    ]),
    topics('--create with 0 partitions', ['--create', '--topic', 'never', '--partitions', '0']),
    topics('--list', ['--list']),
    topics('--list a pattern', ['--list', '--topic', 'st.*']),
    topics('--describe', ['--describe'], { anyOrder: true }),
    topics('--describe one', ['--describe', '--topic', 'story']),
    topics('--describe missing', ['--describe', '--topic', 'missing']),
    topics('--describe --if-exists', ['--describe', '--topic', 'missing', '--if-exists']),
    topics('--describe overrides', ['--describe', '--topics-with-overrides']),
    topics('--describe unavailable', ['--describe', '--unavailable-partitions']),
    topics('--describe under-min-isr', ['--describe', '--under-min-isr-partitions']),
    topics('--describe at-min-isr', ['--describe', '--at-min-isr-partitions'], { anyOrder: true }),
    topics('--describe under-replicated', ['--describe', '--under-replicated-partitions']),
    topics('--alter', ['--alter', '--topic', 'story', '--partitions', '3']),
    topics('--alter to fewer', ['--alter', '--topic', 'story', '--partitions', '1']),
    topics('--alter missing', ['--alter', '--topic', 'missing', '--partitions', '4']),
    producer(
      '',
      ['--topic', 'story', '--property', 'parse.key=true', '--property', 'key.separator=:'],
      {
        input: rows,
      },
    ),
    producer(
      'with acks and compression',
      [
        ...['--topic', 'story', '--compression-codec', 'gzip', '--producer-property', 'acks=all'],
        // Records without a key go to a partition that the producer draws.
        ...['--property', 'parse.key=true', '--property', 'key.separator=:'],
      ],
      { input: 'k:one\nk:two\n' },
    ),
    producer('keyless to a compacted topic', ['--topic', 'kept'], { input: 'no key\n' }),
    offsets('', ['--topic', 'story']),
    offsets('all', []),
    offsets('earliest', ['--topic', 'story', '--time', 'earliest']),
    offsets('max-timestamp', ['--topic', 'kept', '--time', 'max-timestamp']),
    offsets('latest-tiered', ['--topic', 'story', '--time', 'latest-tiered']),
    offsets('by time', ['--topic', 'story', '--time', '0']),
    offsets('of partitions', ['--topic-partitions', 'story:0-2,kept']),
    offsets('missing', ['--topic', 'missing']),
    consumer(
      '',
      [
        ...['--topic', 'story', '--from-beginning', '--max-messages', '32', '--group', 'readers'],
        ...['--property', 'print.key=true', '--property', 'print.offset=true'],
        ...['--property', 'print.partition=true'],
      ],
      { anyOrder: true },
    ),
    consumer('of one partition', [
      ...['--topic', 'story', '--partition', '0', '--offset', '1', '--max-messages', '2'],
    ]),
    consumer(
      'read_committed',
      [
        ...['--topic', 'story', '--from-beginning', '--max-messages', '32', '--group', 'committed'],
        ...['--isolation-level', 'read_committed'],
      ],
      { anyOrder: true },
    ),
    consumer(
      'with the consumer protocol',
      [
        ...[
          '--topic',
          'story',
          '--from-beginning',
          '--max-messages',
          '32',
          '--group',
          'new-readers',
        ],
        ...['--consumer-property', 'group.protocol=consumer'],
      ],
      { anyOrder: true },
    ),
    groups('--list', ['--list'], { anyOrder: true }),
    groups('--list --state', ['--list', '--state'], { anyOrder: true }),
    groups('--list --type', ['--list', '--type'], { anyOrder: true }),
    groups('--list --state Stable', ['--list', '--state', 'Stable']),
    groups('--list --state nonsense', ['--list', '--state', 'nonsense'], { exitOnly: true }),
    groups('--describe', ['--describe', '--group', 'readers'], { anyOrder: true }),
    groups(
      '--describe --offsets --verbose',
      [...['--describe', '--group', 'readers', '--offsets', '--verbose']],
      { anyOrder: true },
    ),
    groups('--describe --state', ['--describe', '--group', 'readers', '--state']),
    groups('--describe --state --verbose', [
      '--describe',
      '--group',
      'new-readers',
      '--state',
      '--verbose',
    ]),
    groups('--describe --members', ['--describe', '--group', 'readers', '--members']),
    groups('--describe --members --verbose', [
      ...['--describe', '--group', 'new-readers', '--members', '--verbose'],
    ]),
    groups('--describe --all-groups', ['--describe', '--all-groups'], { anyOrder: true }),
    groups('--describe missing', ['--describe', '--group', 'missing']),
    reset('--to-earliest --dry-run', '--to-earliest', '--all-topics', '--dry-run'),
    reset('--to-earliest --execute', '--to-earliest', '--topic', 'story', '--execute'),
    reset('--to-latest', '--to-latest', '--topic', 'story', '--execute'),
    reset('--to-offset', '--to-offset', '3', '--topic', 'story:0', '--execute'),
    reset('--to-offset too large', '--to-offset', '999', '--topic', 'story:0', '--execute'),
    reset('--shift-by', '--shift-by', '-1', '--topic', 'story:0,1', '--execute'),
    reset('--to-current', '--to-current', '--all-topics', '--execute'),
    reset('--to-datetime', '--to-datetime', '2020-01-01T00:00:00.000', '--all-topics', '--execute'),
    reset('--by-duration', '--by-duration', 'P10D', '--all-topics', '--execute'),
    reset('--export', '--to-earliest', '--all-topics', '--dry-run', '--export'),
    reset('of a missing topic', '--to-earliest', '--topic', 'missing', '--execute'),
    groups('--delete-offsets', ['--delete-offsets', '--group', 'readers', '--topic', 'story:1']),
    groups('--delete-offsets missing', [
      '--delete-offsets',
      '--group',
      'missing',
      '--topic',
      'story',
    ]),
    groups('--delete', ['--delete', '--group', 'committed']),
    groups('--delete missing', ['--delete', '--group', 'missing']),
    allGroups('--list', ['--list'], { anyOrder: true }),
    allGroups('--list --consumer', ['--list', '--consumer'], { anyOrder: true }),
    allGroups('--list --group-type classic', ['--list', '--group-type', 'classic'], {
      anyOrder: true,
    }),
    allGroups('--list --share', ['--list', '--share']),
    configs('--describe topic', ['--describe', '--entity-type', 'topics', '--entity-name', 'kept']),
    configs(
      '--describe --all topic',
      [...['--describe', '--all', '--entity-type', 'topics', '--entity-name', 'story']],
      { anyOrder: true },
    ),
    configs('--alter topic', [
      ...['--alter', '--entity-type', 'topics', '--entity-name', 'story'],
      ...['--add-config', 'retention.ms=1000000,max.message.bytes=2000000'],
    ]),
    configs('--alter topic --delete-config', [
      ...['--alter', '--entity-type', 'topics', '--entity-name', 'story'],
      ...['--delete-config', 'max.message.bytes'],
    ]),
    configs('--alter topic --delete-config not set', [
      ...['--alter', '--entity-type', 'topics', '--entity-name', 'story'],
      ...['--delete-config', 'segment.bytes'],
    ]),
    configs('--alter topic invalid', [
      ...['--alter', '--entity-type', 'topics', '--entity-name', 'story'],
      ...['--add-config', 'retention.ms=never'],
    ]),
    configs('--alter missing topic', [
      ...['--alter', '--entity-type', 'topics', '--entity-name', 'missing'],
      ...['--add-config', 'retention.ms=1'],
    ]),
    configs('--describe topics', ['--describe', '--entity-type', 'topics'], { anyOrder: true }),
    configs('--alter broker', [
      ...['--alter', '--entity-type', 'brokers', '--entity-name', '1'],
      ...['--add-config', 'log.cleaner.threads=2'],
    ]),
    configs('--describe broker', ['--describe', '--entity-type', 'brokers', '--entity-name', '1'], {
      anyOrder: true,
    }),
    configs('--alter default broker', [
      ...['--alter', '--entity-type', 'brokers', '--entity-default'],
      ...['--add-config', 'message.max.bytes=1500000'],
    ]),
    configs('--describe default broker', [
      '--describe',
      '--entity-type',
      'brokers',
      '--entity-default',
    ]),
    configs('--alter read-only broker config', [
      ...['--alter', '--entity-type', 'brokers', '--entity-name', '1'],
      ...['--add-config', 'log.dirs=/nowhere'],
    ]),
    configs('--alter group', [
      ...['--alter', '--entity-type', 'groups', '--entity-name', 'readers'],
      ...['--add-config', 'consumer.session.timeout.ms=50000'],
    ]),
    configs(
      '--describe group',
      ['--describe', '--entity-type', 'groups', '--entity-name', 'readers'],
      {
        anyOrder: true,
      },
    ),
    configs('--alter users scram', [
      ...['--alter', '--entity-type', 'users', '--entity-name', 'alice'],
      ...['--add-config', 'SCRAM-SHA-256=[iterations=4096,password=secret]'],
    ]),
    configs('--describe users', ['--describe', '--entity-type', 'users']),
    configs('--alter user quota', [
      ...['--alter', '--entity-type', 'users', '--entity-name', 'alice'],
      ...['--add-config', 'producer_byte_rate=1000000,request_percentage=50'],
    ]),
    configs('--alter client quota', [
      ...['--alter', '--entity-type', 'clients', '--entity-default'],
      ...['--add-config', 'consumer_byte_rate=2000000'],
    ]),
    configs('--alter ip quota', [
      ...['--alter', '--entity-type', 'ips', '--entity-name', '10.0.0.1'],
      ...['--add-config', 'connection_creation_rate=10'],
    ]),
    configs('--describe clients', ['--describe', '--entity-type', 'clients']),
    configs('--describe ips', ['--describe', '--entity-type', 'ips']),
    configs('--describe one user', [
      '--describe',
      '--entity-type',
      'users',
      '--entity-name',
      'alice',
    ]),
    configs('--alter user --delete-config', [
      ...['--alter', '--entity-type', 'users', '--entity-name', 'alice'],
      ...['--delete-config', 'SCRAM-SHA-256,request_percentage'],
    ]),
    configs('--alter quota nonsense', [
      ...['--alter', '--entity-type', 'users', '--entity-name', 'alice'],
      ...['--add-config', 'nonsense=1'],
    ]),
    metrics('--alter', [
      ...['--alter', '--name', 'watch', '--metrics', 'org.apache.kafka.producer.'],
      ...['--interval', '60000', '--match', 'client_software_name=apache-kafka-java'],
    ]),
    metrics('--alter invalid', ['--alter', '--name', 'watch', '--interval', '1']),
    metrics('--describe', ['--describe', '--name', 'watch'], { anyOrder: true }),
    metrics('--list', ['--list']),
    metrics('--delete', ['--delete', '--name', 'watch']),
    metrics('--describe gone', ['--describe', '--name', 'watch']),
    deletion('', ['--offset-json-file', `${files}/delete-records.json`]),
    deletion('too many', ['--offset-json-file', `${files}/delete-too-many.json`]),
    offsets('after deletion', ['--topic', 'story', '--time', 'earliest']),
    logDirs('--describe', ['--describe', '--topic-list', 'story'], { exitOnly: true }),
    logDirs('--describe missing broker', ['--describe', '--broker-list', '1,7']),
    election(
      'preferred',
      ['--election-type', 'preferred', '--path-to-json-file', `${files}/elect.json`],
      {
        anyOrder: true,
      },
    ),
    election('preferred of one', [
      ...['--election-type', 'preferred', '--topic', 'story', '--partition', '0'],
    ]),
    election('unclean of all', ['--election-type', 'unclean', '--all-topic-partitions'], {
      anyOrder: true,
    }),
    election('unknown', [
      '--election-type',
      'preferred',
      '--path-to-json-file',
      `${files}/elect-unknown.json`,
    ]),
    reassign('--generate', [
      ...[
        '--generate',
        '--topics-to-move-json-file',
        `${files}/move-topics.json`,
        '--broker-list',
        '1',
      ],
    ]),
    reassign('--list', ['--list']),
    reassign('--execute', ['--execute', '--reassignment-json-file', `${files}/reassign.json`]),
    reassign('--verify', ['--verify', '--reassignment-json-file', `${files}/reassign.json`]),
    reassign('--cancel', ['--cancel', '--reassignment-json-file', `${files}/reassign.json`]),
    reassign('--execute wrong', [
      '--execute',
      '--reassignment-json-file',
      `${files}/reassign-wrong.json`,
    ]),
    acls('--list', ['--list']),
    acls('--add', [
      '--add',
      '--allow-principal',
      'User:alice',
      '--operation',
      'Read',
      '--topic',
      'story',
    ]),
    tokens('--describe', ['--describe', '--command-config', `${files}/empty.properties`]),
    transactions('list', ['list']),
    transactions('describe missing', ['describe', '--transactional-id', 'missing']),
    transactions(
      'describe-producers',
      ['describe-producers', '--topic', 'story', '--partition', '0'],
      {
        exitOnly: true,
      },
    ),
    transactions('find-hanging', ['find-hanging', '--broker-id', '1']),
    perf('kafka-producer-perf-test', 'ProducerPerformance', [
      ...[
        '--topic',
        'story',
        '--num-records',
        '5000',
        '--record-size',
        '100',
        '--throughput',
        '-1',
      ],
      ...['--producer-props', `bootstrap.servers=${at}`],
    ]),
    perf('kafka-producer-perf-test, transactions', 'ProducerPerformance', [
      ...[
        '--topic',
        'story',
        '--num-records',
        '5000',
        '--record-size',
        '100',
        '--throughput',
        '-1',
      ],
      ...['--transactional-id', 'perf', '--transaction-duration-ms', '50'],
      ...['--producer-props', `bootstrap.servers=${at}`],
    ]),
    transactions('list, with one', ['list'], { exitOnly: true }),
    transactions('describe', ['describe', '--transactional-id', 'perf'], { exitOnly: true }),
    perf('kafka-consumer-perf-test', 'ConsumerPerformance', [
      ...[...server, '--topic', 'story', '--num-records', '10000'],
    ]),
    perf('kafka-e2e-latency', 'EndToEndLatency', [
      ...[
        ...server,
        '--topic',
        'placed',
        '--num-records',
        '200',
        '--producer-acks',
        'all',
        '--record-size',
        '100',
      ],
    ]),
    perf('kafka-verifiable-producer', 'VerifiableProducer', [
      ...[...server, '--topic', 'placed', '--max-messages', '200', '--throughput', '-1'],
    ]),
    perf('transactional message copier', 'TransactionalMessageCopier', [
      ...['--broker-list', at, '--input-topic', 'placed', '--input-partition', '0'],
      ...['--output-topic', 'story', '--transactional-id', 'copier', '--consumer-group', 'copier'],
      ...['--max-messages', '50', '--transaction-size', '10', '--enable-random-aborts'],
    ]),
    shareGroups('--list (nothing)', ['--list']),
    configs('--alter share group', [
      ...['--alter', '--entity-type', 'groups', '--entity-name', 'sharers'],
      ...['--add-config', 'share.auto.offset.reset=earliest'],
    ]),
    shareConsumer(
      '',
      ['--topic', 'placed', '--group', 'sharers', '--max-messages', '20', '--timeout-ms', '15000'],
      {
        exitOnly: true,
      },
    ),
    shareGroups('--list', ['--list', '--state']),
    shareGroups('--describe', ['--describe', '--group', 'sharers'], { exitOnly: true }),
    shareGroups('--describe --state', ['--describe', '--group', 'sharers', '--state']),
    shareGroups('--describe --members', ['--describe', '--group', 'sharers', '--members']),
    shareGroups('--describe missing', ['--describe', '--group', 'missing']),
    shareGroups(
      '--reset-offsets',
      [
        ...[
          '--reset-offsets',
          '--group',
          'sharers',
          '--topic',
          'placed',
          '--to-earliest',
          '--execute',
        ],
      ],
      { anyOrder: true },
    ),
    shareGroups('--delete-offsets', [
      '--delete-offsets',
      '--group',
      'sharers',
      '--topic',
      'placed',
    ]),
    shareGroups('--delete', ['--delete', '--group', 'sharers']),
    streamsGroups('--list', ['--list']),
    streamsGroups('--describe missing', ['--describe', '--group', 'missing']),
    resetter('', ['--application-id', 'no-such-app', '--input-topics', 'story', '--force']),
    features('describe', ['describe'], {
      differs: 'kraft.version is not told: voters do not change yet (KIP-853)',
    }),
    features('upgrade --dry-run', ['upgrade', '--feature', 'transaction.version=2', '--dry-run']),
    features('downgrade --dry-run', ['downgrade', '--feature', 'group.version=0', '--dry-run']),
    features('upgrade unknown', ['upgrade', '--feature', 'no.such.feature=1']),
    features('upgrade too high', ['upgrade', '--feature', 'metadata.version=99']),
    features('version-mapping', ['version-mapping', '--release-version', '4.0']),
    quorum('describe --status', ['describe', '--status'], { exitOnly: true }),
    quorum('describe --replication', ['describe', '--replication'], { exitOnly: true }),
    quorum('remove-controller', [
      ...['remove-controller', '--controller-id', '7'],
      ...['--controller-directory-id', 'AAAAAAAAAAAAAAAAAAAABQ'],
    ]),
    cluster('cluster-id', []),
    cluster('list-endpoints', []),
    cluster('unregister', ['--id', '7']),
    // We serve older versions too.
    versions('', [], { exitOnly: true }),
    topics('--delete', ['--delete', '--topic', 'placed']),
    topics('--delete missing', ['--delete', '--topic', 'missing']),
    topics('--delete --if-exists', ['--delete', '--if-exists', '--topic', 'missing']),
    topics('--list at the end', ['--list', '--exclude-internal']),
  ]
}
