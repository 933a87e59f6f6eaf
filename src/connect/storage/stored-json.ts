/** Values in the topics of a worker: JSON objects, read without trust, since anybody may write there. */
import type { Settings } from '../config-def.ts'

/** Undefined: it is no JSON object. */
export function objectOf(bytes: Buffer): Record<string, unknown> | undefined {
  let json: unknown
  try {
    json = JSON.parse(bytes.toString('utf8'))
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
  return isObject(json) ? json : undefined
}

export function isObject(json: unknown): json is Record<string, unknown> {
  return typeof json === 'object' && json !== null && !Array.isArray(json)
}

/** An object of texts; null where it is none. A null value is no setting. */
export function settingsOf(json: unknown): Settings | null {
  if (!isObject(json)) return null
  const settings = new Map<string, string>()
  for (const [name, value] of Object.entries(json)) {
    if (typeof value === 'string') settings.set(name, value)
    else if (value !== null) return null
  }
  return settings
}
