/** What DescribeGroups and ListGroups tell of a group. */
import { errors } from '../../../protocol/errors.ts'
import type { DescribeGroupsResponse } from '../../../protocol/messages/describe-groups.ts'
import type {
  ListGroupsRequest,
  ListGroupsResponse,
} from '../../../protocol/messages/list-groups.ts'
import { noBytes } from './classic/member.ts'
import type { Group } from './group.ts'
import type { AnyGroup } from './group-types.ts'

export type DescribedGroup = DescribeGroupsResponse['groups'][number]
export type ListedGroup = ListGroupsResponse['groups'][number]

/** From here on a group that is not there is an error; before, it is described as Dead. */
const firstVersionWithGroupIdNotFound = 6

export function describeGroup(
  groupId: string,
  group: AnyGroup | null,
  apiVersion: number,
): DescribedGroup {
  if (group === null) return deadGroup(groupId, apiVersion, `Group ${groupId} not found.`)
  if (group.type !== 'classic') {
    return deadGroup(groupId, apiVersion, `Group ${groupId} is not a classic group.`)
  }
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

/** Groups of other types have an API of their own: for this one there is no such group. */
function deadGroup(groupId: string, apiVersion: number, errorMessage: string): DescribedGroup {
  const dead = { groupId, groupState: 'Dead', protocolType: '', protocolData: '', members: [] }
  if (apiVersion < firstVersionWithGroupIdNotFound) return { ...dead, errorCode: errors.NONE.code }
  return { ...dead, errorCode: errors.GROUP_ID_NOT_FOUND.code, errorMessage }
}

/** A described group for which nothing but an error can be said. */
export function describedError(groupId: string, errorCode: number): DescribedGroup {
  return { errorCode, groupId, groupState: '', protocolType: '', protocolData: '', members: [] }
}

export function listedGroup(group: Group): ListedGroup {
  return {
    groupId: group.groupId,
    protocolType: group.protocolType ?? '',
    groupState: group.state,
    groupType: group.type,
  }
}

/**
 * Filters compare without regard to case; an empty one lets everything through (KIP-518, KIP-848).
 */
export function groupFilter(request: ListGroupsRequest): (group: ListedGroup) => boolean {
  const states = oneOf(request.statesFilter)
  const types = oneOf(request.typesFilter)
  return ({ groupState = '', groupType = '' }) => states(groupState) && types(groupType)
}

function oneOf(texts: readonly string[]): (value: string) => boolean {
  const wanted = new Set(texts.map((each) => each.trim().toLowerCase()))
  return (value) => wanted.size === 0 || wanted.has(value.toLowerCase())
}
