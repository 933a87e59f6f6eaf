/**
 * Tasks of a worker that has crashed, or of a thread that was ended, are still members of their group, which would wait
 * for them until their sessions end.
 */
import { describeGroup, removeMembers } from '../../client/admin/groups.ts'
import type { Cluster } from '../../client/cluster.ts'
import { isAnswer } from '../../client/failures.ts'

/** Of those with such client ids. Never rejects: what cannot be removed is logged, and ends by itself. */
export async function removeOrphans(
  cluster: Cluster,
  groupId: string,
  isOrphan: (clientId: string) => boolean,
): Promise<void> {
  try {
    const { members } = await describeGroup(cluster, groupId)
    const orphans = members.filter(({ clientId }) => isOrphan(clientId))
    const ids = orphans.map(({ memberId }) => memberId)
    if (ids.length > 0)
      await removeMembers(cluster, groupId, ids, 'the worker, or its thread, has crashed')
  } catch (error) {
    if (isAnswer(error, 'GROUP_ID_NOT_FOUND')) return
    const { log } = cluster.environment
    log.warn(`Members of the group ${groupId} may be left over`, { reason: String(error) })
  }
}
