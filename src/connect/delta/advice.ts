/** What may be done about what does not go, in the words of the settings that whoever asked for the table knows. */

export interface Advice {
  /** Where values are no objects. */
  readonly noObject: string
  /** Where keys are no text. */
  readonly bytesKeys: string
  /** Where the table has gone. */
  readonly gone: string
  /** Where offsets begin anew. */
  readonly begunAnew: string
  /** Where a name needs column mapping in a table that is to be made. */
  readonly mapping: string
  /** Where it does in a table that is there. */
  readonly unmapped: string
}

const mapping =
  'table.properties=delta.columnMapping.mode=name makes a table that takes such names, which Spark and DuckDB read, but delta-rs and Polars do not'

export const connectorAdvice: Advice = {
  noObject: 'see value.converter, or name a column for all of it (table.value.column)',
  bytesKeys: 'keys that are bytes need a ByteArrayConverter',
  gone: 'restart the connector to begin a new one',
  begunAnew: 'Use another connector name or another table for it',
  mapping,
  unmapped: `the table was made without it. At another table.path ${mapping}`,
}

export const topicAdvice: Advice = {
  noObject: 'table.value.format=string or bytes has one column for all of it',
  bytesKeys: 'keys that are bytes need table.key.format=bytes',
  gone: 'a new one is begun',
  begunAnew: 'Use another table.location for it',
  mapping,
  unmapped: `the table was made without it. At another table.location ${mapping}`,
}
