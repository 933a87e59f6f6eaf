/** `millrace cluster`: brokers, features, quorum, versions. */
import { describeCluster, describeFeatures, describeQuorum } from '../client/admin/brokers.ts'
import type { Connection } from '../client/connection.ts'
import { type Command, verb } from './command.ts'
import { json } from './json.ts'
import { pairs, table } from './table.ts'

const describe = verb({
  summary: 'Show the cluster and its brokers',
  positionals: [],
  options: {},
  examples: [{ says: 'Who is in the cluster', line: 'millrace cluster describe' }],
  async run({ json: asJson, session }) {
    const described = await describeCluster(session.cluster)
    if (asJson) {
      process.stdout.write(json(described))
      return 0
    }
    const { clusterId, controllerId, brokers } = described
    process.stdout.write(
      pairs([
        ['Cluster', clusterId],
        ['Controller', controllerId < 0 ? 'none' : controllerId],
        ['Brokers', brokers.length],
      ]) +
        table(
          ['BROKER', 'ADDRESS', 'RACK', 'STATE'],
          brokers.map((row) => [
            row.id,
            `${row.host}:${row.port}`,
            row.rack,
            row.isFenced ? 'fenced' : 'running',
          ]),
        ),
    )
    return 0
  },
})

const id = verb({
  summary: 'Print the id of the cluster',
  positionals: [],
  options: {},
  examples: [{ says: 'For a script', line: 'id=$(millrace cluster id)' }],
  async run({ json: asJson, session }) {
    const { clusterId } = await describeCluster(session.cluster)
    process.stdout.write(asJson ? json({ clusterId }) : `${clusterId ?? ''}\n`)
    return 0
  },
})

const features = verb({
  summary: 'Show the features in force',
  positionals: [],
  options: {},
  examples: [{ says: 'Levels, and what the broker could do', line: 'millrace cluster features' }],
  async run({ json: asJson, session }) {
    const found = await describeFeatures(session.cluster)
    if (asJson) process.stdout.write(json(found))
    else if (found.length === 0) process.stdout.write('The broker names no features.\n')
    else
      process.stdout.write(
        table(
          ['FEATURE', 'IN FORCE', 'SUPPORTED'],
          found.map(({ name, finalized, supported: [min, max] }) => [
            name,
            finalized,
            `${min} to ${max}`,
          ]),
        ),
      )
    return 0
  },
})

const quorum = verb({
  summary: 'Show the quorum of the metadata log',
  positionals: [],
  options: {},
  examples: [{ says: 'Leader, voters, lag', line: 'millrace cluster quorum' }],
  async run({ json: asJson, session }) {
    const described = await describeQuorum(session.cluster)
    const { leaderId, leaderEpoch, highWatermark, currentVoters, observers } = described
    if (asJson) {
      process.stdout.write(
        json({ leaderId, leaderEpoch, highWatermark, voters: currentVoters, observers }),
      )
      return 0
    }
    const end = currentVoters.find(({ replicaId }) => replicaId === leaderId)?.logEndOffset ?? -1
    const rows = [
      ...currentVoters.map((row) => ({
        ...row,
        role: row.replicaId === leaderId ? 'leader' : 'voter',
      })),
      ...observers.map((row) => ({ ...row, role: 'observer' })),
    ]
    process.stdout.write(
      pairs([
        ['Leader', leaderId],
        ['Epoch', leaderEpoch],
        ['High watermark', highWatermark],
      ]) +
        table(
          ['NODE', 'ROLE', 'DIRECTORY', 'END', 'LAG'],
          rows.map((row) => [
            row.replicaId,
            row.role,
            row.replicaDirectoryId,
            row.logEndOffset,
            end < 0 || row.logEndOffset < 0 ? null : end - row.logEndOffset,
          ]),
        ),
    )
    return 0
  },
})

const versions = verb({
  summary: 'Show which versions of each API the brokers speak',
  positionals: [],
  options: {
    broker: { kind: 'number', value: 'ID', summary: 'Ask this broker; else any that answers' },
  },
  examples: [
    { says: 'What it has, and what this client uses', line: 'millrace cluster api-versions' },
  ],
  async run({ values, json: asJson, session }) {
    const { cluster } = session
    const connection =
      values.broker === undefined
        ? await cluster.anyConnection()
        : await cluster.connectionTo(values.broker)
    const rows = await versionRows(connection)
    if (asJson) process.stdout.write(json(rows))
    else
      process.stdout.write(
        table(
          ['KEY', 'API', 'BROKER', 'USED HERE'],
          rows.map((row) => [row.key, row.name, `${row.min} to ${row.max}`, row.used ?? 'none']),
        ),
      )
    return 0
  },
})

async function versionRows(connection: Connection) {
  const { apiByKey } = await import('../../protocol/apis.ts')
  return connection.apiVersions.apiKeys
    .map(({ apiKey: key, minVersion: min, maxVersion: max }) => {
      const api = apiByKey(key)
      const used = api === undefined ? null : (connection.versionOf(api) ?? null)
      return { key, name: api?.name ?? 'unknown', min, max, used }
    })
    .sort((left, right) => left.key - right.key)
}

export const command: Command = {
  summary: 'Show brokers, features, quorum and versions',
  verbs: { describe, id, features, quorum, 'api-versions': versions },
}
