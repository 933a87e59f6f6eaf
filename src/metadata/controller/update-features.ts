/** UpdateFeatures (KIP-584): all updates of a request or none. */
import { errors, KafkaError } from '../../../protocol/errors.ts'
import type { UpdateFeaturesRequest } from '../../../protocol/messages/update-features.ts'
import {
  elrFeature,
  isMetadataVersion,
  kafkaFeatures,
  losesMetadata,
  metadataVersionFeature,
  metadataVersionMin,
  metadataVersionName,
  supportedFeatures,
} from '../features.ts'
import type { MetadataImage } from '../image.ts'
import { record } from '../record.ts'
import type { Decision } from './decision.ts'
import { elrUpgradeRecords } from './elr-rules.ts'

const upgradeType = { UPGRADE: 1, SAFE_DOWNGRADE: 2, UNSAFE_DOWNGRADE: 3 } as const

type Update = UpdateFeaturesRequest['featureUpdates'][number]

/** `apiVersion` 0 says by a flag whether a downgrade is meant. Throws KafkaError INVALID_UPDATE_VERSION. */
export function updateFeatures(
  image: MetadataImage,
  request: Pick<UpdateFeaturesRequest, 'featureUpdates' | 'validateOnly'>,
  node: { readonly nodeId: number; readonly minInSyncReplicas: number },
  apiVersion: number,
): Decision<undefined> {
  for (const update of request.featureUpdates) {
    const how =
      apiVersion === 0 && update.allowDowngrade ? upgradeType.SAFE_DOWNGRADE : update.upgradeType
    const reason = refuse(image, update, how, node.nodeId)
    if (reason !== undefined) {
      throw new KafkaError(
        errors.INVALID_UPDATE_VERSION,
        `The update failed for all features since the following feature had an error: ${reason}`,
      )
    }
  }
  const keepsElr = request.featureUpdates.some(
    ({ feature, maxVersionLevel }) => feature === elrFeature && maxVersionLevel > 0,
  )
  const records = [
    ...(keepsElr ? elrUpgradeRecords(image, node.minInSyncReplicas) : []),
    ...request.featureUpdates.map(({ feature: name, maxVersionLevel: featureLevel }) =>
      record('FeatureLevelRecord', { name, featureLevel }),
    ),
  ]
  return { records: request.validateOnly ? [] : records, reply: undefined }
}

/** Why the update cannot be, as Kafka words it. */
function refuse(
  image: MetadataImage,
  { feature, maxVersionLevel: level }: Update,
  how: number,
  nodeId: number,
): string | undefined {
  const invalid = (reason: string) =>
    `Invalid update version ${level} for feature ${feature}. ${reason}`
  if (how < upgradeType.UPGRADE || how > upgradeType.UNSAFE_DOWNGRADE) {
    return invalid('The controller does not support the given upgrade type.')
  }
  if (level < 0) return invalid('A feature version cannot be less than 0.')
  const range = supportedFeatures.find(({ name }) => name === feature)
  if (range === undefined) {
    // Level 0 is "not in use", which takes no support.
    if (level !== 0) {
      return invalid(`Local controller ${nodeId} does not support this feature.`)
    }
    if (!image.features.has(feature) && !kafkaFeatures.has(feature)) {
      return invalid(`Feature ${feature} not found.`)
    }
  } else if (level < range.minSupportedVersion || level > range.maxSupportedVersion) {
    const { minSupportedVersion: min, maxSupportedVersion: max } = range
    return invalid(`Local controller ${nodeId} only supports versions ${min}-${max}`)
  }
  const current = image.features.get(feature) ?? 0
  if (level < current && how === upgradeType.UPGRADE) {
    return invalid(
      "Can't downgrade the version of this feature without setting the upgrade type to either " +
        'safe or unsafe downgrade.',
    )
  }
  if (level > current && how !== upgradeType.UPGRADE) {
    return invalid("Can't downgrade to a newer version.")
  }
  return feature === metadataVersionFeature ? refuseMetadataVersion(current, level, how) : undefined
}

function refuseMetadataVersion(current: number, level: number, how: number): string | undefined {
  const invalid = (reason: string) => `Invalid metadata.version ${level}. ${reason}`
  if (!isMetadataVersion(level)) {
    return level < metadataVersionMin
      ? invalid(
          `Unable to set a metadata.version less than ${metadataVersionName(metadataVersionMin)}`,
        )
      : invalid('Unknown metadata.version.')
  }
  if (level >= current || !losesMetadata(current, level)) return undefined
  const reason =
    how === upgradeType.UNSAFE_DOWNGRADE
      ? 'Unsafe metadata downgrade is not supported in this version.'
      : 'Refusing to perform the requested downgrade because it might delete metadata information.'
  return `Unsupported metadata.version downgrade from ${current} to ${level}. ${reason}`
}
