/**
 * Tells the configuration of topics, brokers, groups and others, with the source of each value and
 * what it overrides.
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

export const describeConfigsRequest = message(
  32,
  'DescribeConfigsRequest',
  { valid: '0-4', flexible: '4+' },
  {
    resources: array({
      resourceType: int8,
      resourceName: string,
      configurationKeys: nullable(array(string)),
    }),
    includeSynonyms: since(1, bool),
    includeDocumentation: since(3, bool), // KIP-569.
  },
)
export type DescribeConfigsRequest = MessageOf<typeof describeConfigsRequest>

export const describeConfigsResponse = message(
  32,
  'DescribeConfigsResponse',
  { valid: '0-4', flexible: '4+' },
  {
    throttleTimeMs: withDefault(0, int32),
    results: array({
      errorCode: int16,
      errorMessage: nullable(string),
      resourceType: int8,
      resourceName: string,
      configs: array({
        name: string,
        value: nullable(string),
        readOnly: bool,
        isDefault: until(0, bool),
        configSource: since(1, withDefault(-1, int8)),
        isSensitive: bool,
        synonyms: since(1, array({ name: string, value: nullable(string), source: int8 })),
        configType: since(3, int8),
        documentation: since(3, withDefault('', nullable(string))),
      }),
    }),
  },
)
export type DescribeConfigsResponse = InputOf<typeof describeConfigsResponse>
