/**
 * The share partitions of this broker, by group: each comes into being when a member of the group first
 * fetches from it, and goes when it has ended or its group has no sessions here any more.
 */
import type { ErrorRow } from '../../../protocol/errors.ts'
import type { Uuid } from '../../../protocol/types.ts'
import type { Environment } from '../../environment/environment.ts'
import { Partition } from '../partition.ts'
import type { Replicas } from '../replicas.ts'
import type { SharePersister } from './persister.ts'
import type { ShareSettings } from './settings.ts'
import { SharePartition } from './share-partition.ts'
import type { SharedPartition } from './share-sessions.ts'

export interface SharePartitionsOptions {
  readonly environment: Environment
  readonly replicas: Replicas
  readonly persister: SharePersister
  /** Read at each use: changes take effect at once. */
  readonly settingsFor: (groupId: string) => ShareSettings
}

export class SharePartitions {
  readonly #options: SharePartitionsOptions
  readonly #groups = new Map<string, Map<string, SharePartition>>()

  constructor(options: SharePartitionsOptions) {
    this.#options = options
  }

  /** Of all groups. */
  get size(): number {
    let count = 0
    for (const group of this.#groups.values()) count += group.size
    return count
  }

  settingsFor(groupId: string): ShareSettings {
    return this.#options.settingsFor(groupId)
  }

  /** As the group reads it, if any member does. */
  get(groupId: string, topicId: Uuid, index: number): SharePartition | undefined {
    return this.#groups.get(groupId)?.get(`${topicId}/${index}`)
  }

  /**
   * As the group reads it, from now on if not before; it may still be loading. An error where the
   * partition is not led here.
   */
  open(groupId: string, topicId: Uuid, index: number): SharePartition | ErrorRow {
    const known = this.get(groupId, topicId, index)
    if (known !== undefined) return known
    const partition = this.#options.replicas.findById(topicId, index)
    if (!(partition instanceof Partition)) return partition
    const error = partition.leaderError()
    if (error !== null) return error
    const { environment, persister } = this.#options
    const key = `${topicId}/${index}`
    const opened = new SharePartition({
      environment,
      groupId,
      partition,
      persister,
      settings: () => this.settingsFor(groupId),
      onEnded: (ended) => this.#forget(key, ended),
    })
    const group = this.#groups.get(groupId) ?? new Map<string, SharePartition>()
    this.#groups.set(groupId, group.set(key, opened))
    void opened.load()
    return opened
  }

  /**
   * The member gives back what it has of the partitions. Where no other of its group has a session here,
   * what is idle then need not be kept in memory. Never rejects.
   */
  async release(
    groupId: string,
    memberId: string,
    partitions: readonly SharedPartition[],
    isLast: boolean,
  ): Promise<void> {
    const shares = partitions.map(({ topicId, index }) => this.get(groupId, topicId, index))
    await Promise.all(shares.map((share) => share?.releaseMember(memberId)))
    if (!isLast) return
    for (const each of [...(this.#groups.get(groupId)?.values() ?? [])]) {
      if (each.isIdle) each.end()
    }
  }

  /** What is known here of a group that begins anew is void. */
  forget(groupId: string): void {
    for (const each of [...(this.#groups.get(groupId)?.values() ?? [])]) each.end()
  }

  close(): void {
    for (const groupId of [...this.#groups.keys()]) this.forget(groupId)
  }

  #forget(key: string, ended: SharePartition): void {
    const group = this.#groups.get(ended.groupId)
    if (group?.get(key) !== ended) return
    group.delete(key)
    if (group.size === 0) this.#groups.delete(ended.groupId)
  }
}
