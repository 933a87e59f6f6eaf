/** All of Kafka Connect's transformations. */
import type { TransformationPlugin } from '../plugin.ts'
import { cast } from './cast.ts'
import {
  extractField,
  hoistField,
  insertField,
  maskField,
  replaceField,
  valueToKey,
} from './fields.ts'
import {
  dropHeaders,
  filter,
  headerFrom,
  insertHeader,
  regexRouter,
  timestampRouter,
} from './routes-and-headers.ts'
import { flatten, setSchemaMetadata } from './shapes.ts'
import { timestampConverter } from './timestamp-converter.ts'

export const transformations: readonly TransformationPlugin[] = [
  ...cast,
  dropHeaders,
  ...extractField,
  filter,
  ...flatten,
  ...headerFrom,
  ...hoistField,
  ...insertField,
  insertHeader,
  ...maskField,
  regexRouter,
  ...replaceField,
  ...setSchemaMetadata,
  ...timestampConverter,
  timestampRouter,
  valueToKey,
]
