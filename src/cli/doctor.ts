/**
 * `millrace doctor`: looks at a cluster as a client meets it, and says line by line what is well, what
 * is doubtful and what is wrong, each with what to do about it.
 */
import {
  describeCluster,
  describeFeatures,
  describeLogDirs,
  describeQuorum,
} from '../client/admin/brokers.ts'
import { describeConfigs } from '../client/admin/configs.ts'
import type { Cluster } from '../client/cluster.ts'
import { addressOf, Connection } from '../client/connection.ts'
import { nameOf } from '../client/topic-partition.ts'
import { connect } from './ask-worker.ts'
import { type Command, verb } from './command.ts'
import { checkConnectors } from './doctor-connectors.ts'
import { checkTables } from './doctor-tables.ts'
import { exitCodes } from './failure.ts'
import { json } from './json.ts'
import type { Session } from './session.ts'
import { bytes, plural } from './table.ts'

export interface Finding {
  readonly check: string
  readonly level: 'ok' | 'warn' | 'fail'
  readonly message: string
  readonly advice?: string
}

const connectTimeoutMs = 5_000
/** More than this between two clocks shows in timestamps and retention. */
const clockSkewMaxMs = 2_000
const freeShareMin = 0.1

export const command: Command = verb({
  summary: 'Check a cluster and say what to do',
  positionals: [],
  options: connect,
  notes: ['It reads only. It fails (exit code 1) where a line says "fail".'],
  examples: [
    { says: 'The local broker', line: 'millrace doctor' },
    {
      says: 'Another one, from where its clients are',
      line: 'millrace doctor -b kafka.example:9092',
    },
  ],
  async run({ json: asJson, session, values }) {
    const findings: Finding[] = []
    const isReachable = await checkBootstrap(session, findings)
    if (isReachable)
      for (const [check, run] of Object.entries({
        ...checks,
        tables: (cluster: Cluster) => checkTables(cluster, values),
        connectors: () => checkConnectors(values),
      })) {
        try {
          findings.push(...(await run(session.cluster)))
        } catch (error) {
          findings.push({
            check,
            level: 'warn',
            message: `could not be checked: ${(error as Error).message}`,
          })
        }
      }
    process.stdout.write(asJson ? json(findings) : findings.map(asLine).join(''))
    return findings.some(({ level }) => level === 'fail') ? exitCodes.failed : exitCodes.ok
  },
})

function asLine({ level, check, message, advice }: Finding): string {
  const first = `${level.padEnd(4)}  ${check}: ${message}\n`
  return advice === undefined ? first : `${first}      ${advice}\n`
}

const checks: Readonly<Record<string, (cluster: Cluster) => Promise<Finding[]>>> = {
  cluster: checkCluster,
  addresses: checkAddresses,
  clock: checkClock,
  topics: checkTopics,
  disks: checkDisks,
  settings: checkSettings,
}

/** Each bootstrap server by itself; true where one of them answers. */
async function checkBootstrap(session: Session, findings: Finding[]): Promise<boolean> {
  let isReachable = false
  for (const endpoint of session.bootstrap) {
    const address = addressOf(endpoint)
    const found = await tryConnection(session.cluster, endpoint)
    if (found.error === null) {
      isReachable = true
      const message = `${address} answers in ${found.ms} ms and has ${plural(found.apis, 'API')}`
      findings.push({ check: 'bootstrap', level: 'ok', message })
    } else
      findings.push({
        check: 'bootstrap',
        level: 'fail',
        message: found.error,
        advice:
          '`millrace start` starts a broker on localhost:9092; --bootstrap-server names another.',
      })
  }
  return isReachable
}

async function tryConnection(cluster: Cluster, endpoint: { host: string; port: number }) {
  const startMs = performance.now()
  const { environment, clientId } = cluster
  const options = { clientId, connectTimeoutMs, requestTimeoutMs: connectTimeoutMs }
  try {
    const connection = await Connection.open(environment, endpoint, options)
    const apis = connection.apiVersions.apiKeys.length
    connection.close()
    return { error: null, ms: Math.round(performance.now() - startMs), apis }
  } catch (error) {
    return { error: (error as Error).message, ms: 0, apis: 0 }
  }
}

async function checkCluster(cluster: Cluster): Promise<Finding[]> {
  const check = 'cluster'
  const { clusterId, controllerId, brokers } = await describeCluster(cluster)
  const fenced = brokers.filter(({ isFenced }) => isFenced)
  const version = (await describeFeatures(cluster)).find(({ name }) => name === 'metadata.version')
  const level = version?.finalized == null ? '' : `, metadata.version ${version.finalized}`
  const findings: Finding[] = [
    {
      check,
      level: 'ok',
      message: `${clusterId ?? 'without id'}, ${plural(brokers.length, 'broker')}${level}`,
    },
  ]
  if (controllerId < 0)
    findings.push({
      check,
      level: 'fail',
      message: 'there is no controller, so nothing can be created or changed',
      advice: 'Look into the logs of the controllers; `millrace cluster quorum` shows the voters.',
    })
  if (fenced.length > 0)
    findings.push({
      check,
      level: 'warn',
      message: `fenced: broker ${fenced.map(({ id }) => id).join(', ')}`,
      advice:
        'A broker that is starting is fenced for a moment; one that stays so cannot reach the controller.',
    })
  return findings
}

async function checkAddresses(cluster: Cluster): Promise<Finding[]> {
  const check = 'addresses'
  const findings: Finding[] = []
  for (const node of await cluster.nodes()) {
    const address = addressOf(node)
    const { error, ms } = await tryConnection(cluster, node)
    if (error === null)
      findings.push({
        check,
        level: 'ok',
        message: `broker ${node.id} is reached at ${address} in ${ms} ms`,
      })
    else
      findings.push({
        check,
        level: 'fail',
        message: `broker ${node.id} says it is at ${address}, but from here: ${error}`,
        advice:
          'Clients go to that address after the first answer: set advertised.listeners to one they reach.',
      })
  }
  return findings
}

/** The leader of the quorum says when it was last up to date: that is its present. */
async function checkClock(cluster: Cluster): Promise<Finding[]> {
  const check = 'clock'
  const before = Date.now()
  const { leaderId, currentVoters } = await describeQuorum(cluster)
  const after = Date.now()
  const leader = currentVoters.find(({ replicaId }) => replicaId === leaderId)
  const theirs = leader?.lastCaughtUpTimestamp ?? -1
  if (theirs <= 0) return [{ check, level: 'ok', message: 'the broker does not tell its time' }]
  const skewMs = theirs < before ? theirs - before : Math.max(0, theirs - after)
  if (Math.abs(skewMs) <= clockSkewMaxMs)
    return [{ check, level: 'ok', message: 'here and at the controller it is the same time' }]
  return [
    {
      check,
      level: 'warn',
      message: `the controller's clock is ${Math.abs(skewMs)} ms ${skewMs < 0 ? 'behind' : 'ahead of'} this one`,
      advice: 'Timestamps, retention and sessions go by these clocks: run NTP on both.',
    },
  ]
}

async function checkTopics(cluster: Cluster): Promise<Finding[]> {
  const check = 'topics'
  const topics = await cluster.allTopics()
  const partitions = topics.flatMap(({ name: topic, partitions: rows }) =>
    rows.map((row) => ({ ...row, topic, partition: row.index })),
  )
  const leaderless = partitions.filter(({ leader }) => leader < 0)
  const under = partitions.filter(
    ({ isr, replicas, leader }) => leader >= 0 && isr.length < replicas.length,
  )
  const findings: Finding[] = []
  if (leaderless.length > 0)
    findings.push({
      check,
      level: 'fail',
      message: `${plural(leaderless.length, 'partition')} without a leader: ${some(leaderless)}`,
      advice:
        'Start the brokers that hold their replicas; `millrace topics describe --unavailable` shows them.',
    })
  if (under.length > 0)
    findings.push({
      check,
      level: 'warn',
      message: `${plural(under.length, 'partition')} under-replicated: ${some(under)}`,
      advice:
        'A broker is down or behind; `millrace topics describe --under-replicated` shows whose replicas lack.',
    })
  const amount = `${plural(topics.length, 'topic')} with ${plural(partitions.length, 'partition')}`
  if (findings.length === 0) findings.push({ check, level: 'ok', message: `${amount}, all whole` })
  return findings
}

function some(partitions: readonly { topic: string; partition: number }[]): string {
  const names = partitions.slice(0, 5).map(nameOf).join(', ')
  return partitions.length > 5 ? `${names}, …` : names
}

async function checkDisks(cluster: Cluster): Promise<Finding[]> {
  const check = 'disks'
  const ids = (await cluster.nodes()).map(({ id }) => id)
  return (await describeLogDirs(cluster, ids, null)).map((dir): Finding => {
    const name = `broker ${dir.brokerId}, ${dir.path}`
    if (dir.error !== null)
      return {
        check,
        level: 'fail',
        message: `${name} is offline: ${dir.error.message}`,
        advice: 'Repair or replace the disk, then restart the broker.',
      }
    if (dir.totalBytes <= 0) return { check, level: 'ok', message: name }
    const free = `${bytes(dir.usableBytes)} of ${bytes(dir.totalBytes)} free`
    if (dir.usableBytes >= dir.totalBytes * freeShareMin)
      return { check, level: 'ok', message: `${name}: ${free}` }
    return {
      check,
      level: 'warn',
      message: `${name}: only ${free}`,
      advice:
        'Shorten retention (`millrace configs alter topic … --set retention.ms=…`) or add space.',
    }
  })
}

async function checkSettings(cluster: Cluster): Promise<Finding[]> {
  const check = 'settings'
  const nodes = await cluster.nodes()
  const resources = nodes.map(({ id }) => ({ type: 'broker' as const, name: String(id) }))
  const hasOffsets = (await cluster.allTopics()).some(({ name }) => name === '__consumer_offsets')
  const findings: Finding[] = []
  for (const { name, error, entries } of await describeConfigs(cluster, resources)) {
    if (error !== null) throw error
    const value = (key: string) => entries.find((entry) => entry.name === key)?.value
    const number = (key: string) => Number(value(key) ?? Number.NaN)
    const warn = (message: string, advice: string) =>
      findings.push({ check, level: 'warn', message: `broker ${name}: ${message}`, advice })
    if (nodes.length > 1 && number('default.replication.factor') < 2)
      warn('new topics get one replica', 'Set default.replication.factor=3, or 2 with two brokers.')
    if (nodes.length > 1 && number('offsets.topic.replication.factor') < 2)
      warn(
        'the groups’ offsets have one replica',
        'Set offsets.topic.replication.factor=3 before they exist.',
      )
    const replicas = entries.find((entry) => entry.name === 'offsets.topic.replication.factor')
    const isAsked = replicas !== undefined && replicas.source !== 'default'
    if (isAsked && !hasOffsets && Number(replicas.value) > nodes.length)
      findings.push({
        check,
        level: 'fail',
        message: `broker ${name}: no group can work: offsets.topic.replication.factor=${replicas.value} with ${plural(nodes.length, 'broker')}`,
        advice: 'Set it to as many as there are, or start more brokers.',
      })
    if (nodes.length > 2 && number('min.insync.replicas') < 2)
      warn(
        'acks=all may mean one replica',
        'Set min.insync.replicas=2 for topics that must not lose records.',
      )
    if (value('unclean.leader.election.enable') === 'true')
      warn(
        'replicas that are behind may become leaders, losing records',
        'Set unclean.leader.election.enable=false.',
      )
  }
  if (findings.length === 0) findings.push({ check, level: 'ok', message: 'nothing unusual' })
  return findings
}
