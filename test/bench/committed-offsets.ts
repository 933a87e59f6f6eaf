/** A hundred thousand committed offsets: writing them, and reading all of them back after a restart. */
import { setTimeout } from 'node:timers/promises'
import { apis } from '../../protocol/apis.ts'
import { errorByCode } from '../../protocol/errors.ts'
import type { Options, Result } from './options.ts'
import { Peer } from './peer.ts'
import { createTopic, untilCoordinated } from './requests.ts'

const versions = { offsetCommit: 9, offsetFetch: 9 }
const groups = Array.from({ length: 1000 }, (_, number) => `group-${number}`)
const partitionsOfGroup = 100
const groupsOfRequest = 50

/** Each group commits offsets of a hundred partitions, one request after the other. */
export async function commitOffsets(options: Options): Promise<Result> {
  const { topic: name } = options
  const peer = await Peer.open(options.port)
  await createTopic(peer, { ...options, partitions: partitionsOfGroup })
  const partitions = Array.from({ length: partitionsOfGroup }, (_, partitionIndex) => ({
    ...{ partitionIndex, committedOffset: 1000 + partitionIndex, committedMetadata: '' },
  }))
  await untilCoordinated(peer, 'group', groups[0] as string)
  const startedMs = performance.now()
  for (const groupId of groups) {
    const request = {
      ...{ groupId, memberId: '', groupInstanceId: null, topics: [{ name, partitions }] },
    }
    for (;;) {
      const { topics } = await peer.call(apis.offsetCommit, versions.offsetCommit, request)
      const code = topics[0]?.partitions[0]?.errorCode ?? -1
      if (code === 0) break
      if (!errorByCode(code).retriable) throw new Error(`OffsetCommit was answered with ${code}`)
      await setTimeout(20)
    }
  }
  peer.close()
  return { seconds: (performance.now() - startedMs) / 1000 }
}

/** Whether every group that is still `missing` could be read; those that could are taken out. */
export async function readOffsets(peer: Peer, missing: Set<string>): Promise<boolean> {
  while (missing.size > 0) {
    const asked = [...missing].slice(0, groupsOfRequest)
    const answer = await peer.call(apis.offsetFetch, versions.offsetFetch, {
      groups: asked.map((groupId) => ({ groupId, memberId: null, topics: null })),
      requireStable: false,
    })
    for (const { groupId, errorCode, topics } of answer.groups) {
      if (errorCode !== 0) continue
      const count = topics.reduce((sum, { partitions }) => sum + partitions.length, 0)
      if (count !== partitionsOfGroup) throw new Error(`${groupId} has ${count} offsets left`)
      missing.delete(groupId)
    }
    if (asked.some((groupId) => missing.has(groupId))) return false
  }
  return true
}

export function allGroups(): Set<string> {
  return new Set(groups)
}
