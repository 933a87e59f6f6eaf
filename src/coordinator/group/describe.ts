/** What DescribeGroups and ListGroups tell of a group. */
import { errors } from '../../../protocol/errors.ts'
import type { DescribeGroupsResponse } from '../../../protocol/messages/describe-groups.ts'
import type {
  ListGroupsRequest,
  ListGroupsResponse,
} from '../../../protocol/messages/list-groups.ts'
import type { ClassicGroup } from './classic/classic-group.ts'
import { noBytes } from './classic/member.ts'

export type DescribedGroup = DescribeGroupsResponse['groups'][number]
export type ListedGroup = ListGroupsResponse['groups'][number]

/** From here on a group that is not there is an error; before, it is described as Dead. */
const firstVersionWithGroupIdNotFound = 6

export function describeGroup(
  groupId: string,
  group: ClassicGroup | null,
  apiVersion: number,
): DescribedGroup {
  if (group === null) return deadGroup(groupId, apiVersion)
  const isStable = group.state === 'Stable'
  const members = [...group.members.values()].map((member) => ({
    memberId: member.memberId,
    groupInstanceId: member.groupInstanceId,
    clientId: member.clientId,
    clientHost: member.clientHost,
    // What members say and which way was chosen hold together only in a stable group.
    memberMetadata: isStable ? member.metadataOf(group.protocolName) : noBytes,
    memberAssignment: member.assignment,
  }))
  return {
    errorCode: errors.NONE.code,
    groupId,
    groupState: group.state,
    protocolType: group.protocolType ?? '',
    protocolData: isStable ? (group.protocolName ?? '') : '',
    members,
  }
}

function deadGroup(groupId: string, apiVersion: number): DescribedGroup {
  const dead = { groupId, groupState: 'Dead', protocolType: '', protocolData: '', members: [] }
  if (apiVersion < firstVersionWithGroupIdNotFound) return { ...dead, errorCode: errors.NONE.code }
  return {
    ...dead,
    errorCode: errors.GROUP_ID_NOT_FOUND.code,
    errorMessage: `Group ${groupId} not found.`,
  }
}

/** A described group for which nothing but an error can be said. */
export function describedError(groupId: string, errorCode: number): DescribedGroup {
  return { errorCode, groupId, groupState: '', protocolType: '', protocolData: '', members: [] }
}

export function listedGroup(group: ClassicGroup): ListedGroup {
  return {
    groupId: group.groupId,
    protocolType: group.protocolType ?? '',
    groupState: group.state,
    groupType: 'classic',
  }
}

/**
 * Filters compare without regard to case; an empty one lets everything through (KIP-518, KIP-848).
 */
export function isListed(group: ListedGroup, request: ListGroupsRequest): boolean {
  const { statesFilter, typesFilter } = request
  return matches(statesFilter, group.groupState) && matches(typesFilter, group.groupType)
}

function matches(filter: readonly string[], value: string | undefined): boolean {
  const wanted = value?.toLowerCase()
  return filter.length === 0 || filter.some((each) => each.trim().toLowerCase() === wanted)
}
