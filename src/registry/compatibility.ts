/**
 * Compatibility levels. BACKWARD: the new schema reads what the last one wrote; FORWARD: the last one
 * reads what the new one writes; FULL: both; each with `_TRANSITIVE` for all versions and not the last
 * alone; NONE: anything goes.
 */
import type { Steps } from '../environment/in-turns.ts'
import type { ParsedSchema } from './schema-types.ts'

const compatibilityLevels = [
  'NONE',
  'BACKWARD',
  'BACKWARD_TRANSITIVE',
  'FORWARD',
  'FORWARD_TRANSITIVE',
  'FULL',
  'FULL_TRANSITIVE',
] as const
export type CompatibilityLevel = (typeof compatibilityLevels)[number]

export interface Earlier {
  readonly version: number
  readonly schema: ParsedSchema
}

/** Characters of an earlier schema that a message repeats. */
const quotedMax = 10 * 1024

/** Null: it is none. */
export function levelOf(text: unknown): CompatibilityLevel | null {
  const name = typeof text === 'string' ? text.toUpperCase() : ''
  return compatibilityLevels.find((level) => level === name) ?? null
}

/**
 * In steps of one version: why `schema` may not follow `earlier` versions, which come newest first; empty where it may. The first
 * version that stands in the way is the one told about. Throws SchemaError where a comparison goes beyond
 * its limits.
 */
export function* incompatibilities(
  level: CompatibilityLevel,
  schema: ParsedSchema,
  earlier: Iterable<Earlier>,
): Steps<readonly string[]> {
  if (level === 'NONE') return []
  for (const previous of earlier) {
    const messages = against(level, schema, previous)
    if (messages.length > 0) return messages
    if (!level.endsWith('_TRANSITIVE')) break
    yield
  }
  return []
}

function against(
  level: CompatibilityLevel,
  schema: ParsedSchema,
  { version, schema: old }: Earlier,
) {
  if (schema.type !== old.type) return ['Incompatible because of different schema type']
  const isRead = level.startsWith('FORWARD') || level.startsWith('FULL')
  const reads = level.startsWith('BACKWARD') || level.startsWith('FULL')
  const messages = [
    ...(isRead ? old.cannotRead(schema, { reader: 'old', writer: 'new' }) : []),
    ...(reads ? schema.cannotRead(old, { reader: 'new', writer: 'old' }) : []),
  ]
  if (messages.length === 0) return []
  const { text } = old
  const quoted =
    text.length <= quotedMax ? `'${text}'` : `<truncated> '${text.slice(0, quotedMax)}...'`
  return [...messages, `{oldSchemaVersion: ${version}}`, `{oldSchema: ${quoted}}`]
}
