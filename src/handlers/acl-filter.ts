/** What the filters of DescribeAcls and DeleteAcls say, whatever the version. */
import {
  aclOperations,
  patternTypes,
  permissionTypes,
  resourceTypes,
  wordOf,
} from '../../protocol/acls.ts'
import { errors, KafkaError } from '../../protocol/errors.ts'
import type { AclFilter } from '../metadata/controller/acls.ts'

/**
 * Version 0 knows no patterns: its filters are about what is literal. Throws KafkaError INVALID_REQUEST for
 * a word that nobody here knows: what it was meant to be about cannot be guessed.
 */
export function readAclFilter(filter: AclFilter, version: number): AclFilter {
  const read = version === 0 ? { ...filter, patternTypeFilter: patternTypes.LITERAL } : filter
  const words = [
    wordOf(resourceTypes, read.resourceTypeFilter),
    wordOf(patternTypes, read.patternTypeFilter),
    wordOf(aclOperations, read.operation),
    wordOf(permissionTypes, read.permissionType),
  ]
  if (!words.includes('UNKNOWN')) return read
  throw new KafkaError(errors.INVALID_REQUEST, 'The filter contains UNKNOWN elements')
}
