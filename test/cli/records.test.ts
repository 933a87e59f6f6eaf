/** Records through the command line: files, pipes, groups, and what they leave in the broker's files. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { apis } from '../../protocol/apis.ts'
import { Cluster } from '../../src/client/cluster.ts'
import { createNodeEnvironment } from '../../src/environment/node/environment.ts'
import { commandLine, start, startBroker } from './running-broker.ts'

const directory = t.testdir({ data: {}, input: {} })
const broker = await startBroker(join(directory, 'data'))
t.teardown(() => broker.stop())

const { run, output } = commandLine(broker)

t.test('records go in and come out as they were', async (t) => {
  await output('topics create lines -p 3')
  const lines = Array.from({ length: 5000 }, (_, index) => `k${index}\tvalue ${index}`)
  const file = join(directory, 'input', 'lines.tsv')
  writeFileSync(file, `${lines.join('\r\n')}\r\n`)
  const { code, stderr } = await run(`produce lines ${file} -K \\t -z gzip`)
  t.equal(code, 0)
  t.match(stderr, /^Wrote 5,000 records, .* to lines in 3 partitions\.\n$/)
  const out = await output('consume lines --from-beginning --until-end --print-key --quiet')
  t.same(out.trimEnd().split('\n').sort(), [...lines].sort())

  await output('topics create copy -p 3')
  const odd = [
    {
      key: 'a',
      valueBase64: '//79',
      headers: { h: 'x', n: null },
      partition: 2,
      timestamp: 1700000000000,
    },
    { key: null, value: { nested: [1, 2] } },
    {
      keyBase64: 'gA==',
      value: null,
      headers: [
        { key: 'b', valueBase64: '/w==' },
        { key: 'b', value: '' },
      ],
    },
    { value: 'line\nbreak\tünïcode 日本' },
  ]
  await output('produce lines -f json', odd.map((row) => JSON.stringify(row)).join('\n'))
  const json = await output('consume lines --json --from-beginning -e -q')
  await output('produce copy -f json -z snappy', json)
  const copied = await output('consume copy --json --from-beginning -e -q')
  const bare = (text: string) =>
    text
      .replaceAll(/"topic":"\w+",/g, '')
      .trimEnd()
      .split('\n')
      .sort()
  t.same(
    bare(copied),
    bare(json),
    'a copy is the same to the byte, partitions, offsets and times too',
  )
  t.equal(bare(json).length, 5004)

  await output('topics create one')
  await output(
    'produce one -f json',
    '{"value":"x"}\n{"valueBase64":"//79","timestamp":1700000000000}',
  )
  t.equal(await output('consume one -p 0 -o -1 -n 1 --value-encoding hex -q'), 'fffefd\n')
  t.equal(
    await output('consume one -o 1 -n 1 -q --print-partition --print-timestamp --no-value'),
    '2023-11-14T22:13:20.000Z\t0\n',
  )
  const late = await run('consume lines -n 5 --timeout-ms 300')
  t.equal(late.code, 1)
  t.match(late.stderr, /only 0 of 5 records came in time/)
  const broken = await run('produce lines -f json', '{"value":"fine"}\n{"no":1}\n')
  t.equal(broken.code, 1)
  t.match(broken.stderr, /standard input, line 2: a record has a "value"/)
  const summary = JSON.parse(await output('produce lines --json -H a=b --key k', 'x'))
  t.match(summary, { topic: 'lines', records: 1, failed: 0 })
  const nowhere = await run('produce lines -p 17', 'x\ny\n')
  t.equal(nowhere.code, 1)
  const unread = await run('produce lines nosuch.txt')
  t.equal(unread.code, 1)
  t.match(unread.stderr, /cannot read nosuch\.txt: there is no such file/)
  t.match((await run('dump nosuch')).stderr, /cannot read nosuch: there is no such file/)
  t.match(nowhere.stderr, /topic lines has 3 partitions and no partition 17/)
})

t.test('groups', async (t) => {
  await output('topics create work -p 2')
  await output(
    'produce work -K :',
    Array.from({ length: 100 }, (_, index) => `${index}:w${index}`).join('\n'),
  )
  const first = await output('consume work -g crew --from-beginning -n 10 -q')
  const rest = await output('consume work -g crew --until-end -q')
  const all = `${first}${rest}`.trimEnd().split('\n')
  t.equal(all.length, 100, 'the second went on where the first ended')
  t.equal(new Set(all).size, 100)
  t.match(JSON.parse(await output('groups describe crew --json')), [{ state: 'Empty', lag: 0 }])
  const member = start(['consume', 'work', '-g', 'crew'], { bootstrap: broker.address })
  await output('produce work', 'late')
  await member.printed('late')
  const busy = await run('groups reset-offsets crew --all-topics --to-earliest --execute')
  t.equal(busy.code, 1)
  t.match(busy.stderr, /group crew has 1 member/)
  t.match(await output('groups describe crew --members'), /millrace-cli .* work-0 work-1/)
  member.interrupt()
  const ended = await member.ended
  t.equal(ended.code, 0, 'an interrupt is the usual end of it')
  t.match(await output('groups list'), /crew +classic +Empty/)
  const planned = await run('groups reset-offsets crew -t work --to-earliest')
  t.match(planned.stderr, /add --execute/)
  t.match(JSON.parse(await output('groups describe crew --json')), [{ lag: 0 }])
  await output('groups reset-offsets crew -t work:0,1 --shift-by -3 --execute')
  t.match(JSON.parse(await output('groups describe crew --json')), [{ lag: 6 }])
  await output('groups delete-offsets crew -t work:0')
  t.match(JSON.parse(await output('groups describe crew --json')), [{ lag: 3 }])
  const deleted = await run('groups delete crew nobody')
  t.equal(deleted.code, 1)
  t.equal(deleted.stdout, 'crew deleted\n')
})

t.test('share and streams groups', async (t) => {
  await output('topics create shared -p 2')
  await output('produce shared -p 0', 'a\nb\nc\n')
  const [host = '', port] = broker.address.split(':')
  const cluster = new Cluster(createNodeEnvironment({ log: { level: 'silent' } }), {
    bootstrap: [{ host, port: Number(port) }],
  })
  t.teardown(() => cluster.close())
  const share = { groupId: 'crowd', memberId: 'm-1', rackId: null }
  const beat = (memberEpoch: number) =>
    cluster.retrying('join', async () => {
      const request = { ...share, memberEpoch, subscribedTopicNames: ['shared'] }
      const key = { type: 'group', id: 'crowd' } as const
      const answer = await cluster.callCoordinator(key, apis.shareGroupHeartbeat, request)
      cluster.checkCoordinator('group', 'crowd', answer.errorCode, answer.errorMessage)
    })
  await beat(0)
  t.match(JSON.parse(await output('groups describe crowd --json')), [
    {
      type: 'share',
      state: 'Stable',
      groupEpoch: Number,
      assignmentEpoch: Number,
      members: [{ memberId: 'm-1' }],
    },
  ])
  const reset = 'groups reset-offsets crowd -t shared --to-latest --execute'
  t.match((await run(reset)).stderr, /group crowd has 1 member/)
  await beat(-1)
  t.match(await output(reset), /shared +0 +\S+ +3 +0 +3\n/)
  t.match(JSON.parse(await output('groups describe crowd --json')), [
    { type: 'share', state: 'Empty', lag: 0, offsets: [{ partition: 0, committedOffset: 3 }, {}] },
  ])
  await output('groups reset-offsets crowd -t shared:0 --to-earliest --execute')
  t.match(await output('groups describe crowd'), /Type +share\n[\s\S]*shared +0 +0 +3 +3/)

  const subtopology = {
    subtopologyId: '0',
    sourceTopics: ['shared'],
    sourceTopicRegex: [],
    stateChangelogTopics: [],
    repartitionSinkTopics: [],
    repartitionSourceTopics: [],
    copartitionGroups: [],
  }
  await cluster.retrying('join', async () => {
    const answer = await cluster.callCoordinator(
      { type: 'group', id: 'flow' },
      apis.streamsGroupHeartbeat,
      {
        groupId: 'flow',
        memberId: 'm-2',
        memberEpoch: 0,
        endpointInformationEpoch: 0,
        rebalanceTimeoutMs: 1000,
        topology: { epoch: 1, subtopologies: [subtopology] },
        activeTasks: [],
        standbyTasks: [],
        warmupTasks: [],
        processId: 'p',
        clientTags: [],
      },
    )
    cluster.checkCoordinator('group', 'flow', answer.errorCode, answer.errorMessage)
  })
  const flow = await output('groups describe flow --members')
  t.match(flow, /Type +streams\n[\s\S]*Epoch +\d+\n[\s\S]*m-2 /)
})

t.test('files of the broker', async (t) => {
  const path = join(directory, 'data', 'lines-0')
  t.match(await output(`dump ${path}`), /\.log \(segment\)\n {2}baseOffset +lastOffset/)
  const rows = (await output(`dump -r --json ${join(directory, 'data', '__cluster_metadata-0')}`))
    .trimEnd()
    .split('\n')
    .flatMap((line) => JSON.parse(line).records ?? [])
  t.ok(rows.some(({ type, value }) => type === 'TopicRecord' && value.name === 'lines'))
  const offsets = await output(`dump -r ${join(directory, 'data', '__consumer_offsets-0')}`)
  t.match(offsets, /type=OffsetCommit key=\{"group":"crew","topic":"work","partition":0\}/)
  t.match(await output(`dump ${join(directory, 'data', 'meta.properties')}`), /cluster\.id/)
  const torn = join(directory, 'input', '00000000000000000000.log')
  writeFileSync(torn, Buffer.alloc(30, 1))
  const damaged = await run(`dump ${torn}`)
  t.equal(damaged.code, 1)
  t.match(damaged.stderr, /at 0: /)
  t.equal((await run(`dump ${join(directory, 'input', 'lines.tsv')}`)).code, 1)
})

t.test('a reader that has seen enough ends it quietly', async (t) => {
  const lines = Array.from({ length: 100_000 }, (_, index) => `value ${index}`).join('\n')
  await output('produce many', lines)
  const child = start(['consume', 'many', '--from-beginning', '-e', '-q'], {
    bootstrap: broker.address,
    readsOnce: true,
  })
  t.match(await child.ended, { code: 0, stderr: '' })
})
