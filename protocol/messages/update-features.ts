/**
 * Raises or lowers the finalized level of features (KIP-584).
 */

import type { InputOf, MessageOf } from '../schema.ts'
import {
  array,
  bool,
  int8,
  int16,
  int32,
  message,
  nullable,
  since,
  string,
  until,
  withDefault,
} from '../schema.ts'

export const updateFeaturesRequest = message(
  57,
  'UpdateFeaturesRequest',
  { valid: '0-2', flexible: '0+' },
  {
    timeoutMs: withDefault(60000, int32),
    featureUpdates: array({
      feature: string,
      maxVersionLevel: int16,
      allowDowngrade: until(0, bool),
      upgradeType: since(1, withDefault(1, int8)),
    }),
    validateOnly: since(1, bool),
  },
)
export type UpdateFeaturesRequest = MessageOf<typeof updateFeaturesRequest>

const updatableFeatureResult = { feature: string, errorCode: int16, errorMessage: nullable(string) }

export const updateFeaturesResponse = message(
  57,
  'UpdateFeaturesResponse',
  { valid: '0-2', flexible: '0+' },
  {
    throttleTimeMs: withDefault(0, int32),
    errorCode: int16,
    errorMessage: nullable(string),
    results: until(1, array(updatableFeatureResult)),
  },
)
export type UpdateFeaturesResponse = InputOf<typeof updateFeaturesResponse>
