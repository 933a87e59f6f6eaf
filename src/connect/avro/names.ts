/**
 * How Avro schemas say what only Connect knows, as Confluent's AvroData does: attributes beside the type,
 * and parameters of Connect's schemas for what only Avro knows. Schemas that one of them wrote the other
 * reads.
 */
const space = 'io.confluent.connect.avro'

export const defaultNamespace = space
/** Structs without a name are called so, the second one with a 2 behind it. */
export const defaultName = 'ConnectDefault'
/** Maps whose keys are no texts are arrays of such records. */
export const mapEntry = 'MapEntry'
export const unionName = `${space}.Union`
export const enumParameter = `${space}.Enum`
export const fixedSizeParameter = 'connect.fixed.size'
export const precisionParameter = 'connect.decimal.precision'
export const recordDoc = `${space}.record.doc`
export const fieldDocPrefix = `${space}.field.doc.`
export const enumDocPrefix = `${space}.enum.doc.`
export const enumDefaultPrefix = `${space}.enum.default.`
/** Set where the default is that of the field, and of no `connect.default`. */
export const fieldDefaultFlag = `${space}.field.default`

export const nameAttribute = 'connect.name'
export const docAttribute = 'connect.doc'
export const versionAttribute = 'connect.version'
export const parametersAttribute = 'connect.parameters'
export const defaultAttribute = 'connect.default'
export const typeAttribute = 'connect.type'
export const internalTypeAttribute = 'connect.internal.type'

/** Where a decimal does not say. */
export const precisionDefault = 64

export interface AvroDataOptions {
  /** Enums stay enums, and branches of unions go by their full names. */
  readonly enhanced: boolean
  /** Whether what only Connect knows is written, and read. */
  readonly metaData: boolean
  /** A union of one type is that type. */
  readonly flattensSingletons: boolean
  /** Times that Connect's own types do not hold are Micros, and uuids of bytes are text; else numbers and bytes. */
  readonly isFine?: boolean
}
