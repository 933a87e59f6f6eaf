/**
 * Settings of a plug-in, as a table: what there is, of which type, and what a form should show. From it
 * come the values for the plug-in, and what `PUT /connector-plugins/…/config/validate` answers.
 */
import { ConfigError, type Definition, parseSetting } from '../config/definition.ts'

/** Settings as they were given. */
export type Settings = ReadonlyMap<string, string>

export interface ConfigKey<T = unknown> {
  readonly definition: Definition<T>
  readonly importance: 'HIGH' | 'MEDIUM' | 'LOW'
  readonly documentation: string
  /** Without one there is no default, and it must be given. */
  readonly isRequired: boolean
  readonly group: string | null
  /** -1 without a group. */
  readonly order: number
  readonly width: 'NONE' | 'SHORT' | 'MEDIUM' | 'LONG'
  readonly displayName: string | null
  /** Settings that mean something only beside this one. */
  readonly dependents: readonly string[]
  /** What a form may offer for it. */
  readonly recommend: ((settings: Settings) => Recommendation) | null
}

export interface Recommendation {
  readonly values: readonly string[]
  readonly isVisible: boolean
}

/** A value that was looked at. */
export interface ConfigValue {
  readonly name: string
  /** As text; null: there is none. */
  readonly value: string | null
  readonly recommendedValues: readonly string[]
  readonly errors: string[]
  readonly isVisible: boolean
}

export type ConfigKeys = Readonly<Record<string, ConfigKey>>

export type ParsedConfig<Keys extends ConfigKeys> = {
  readonly [Name in keyof Keys]: Keys[Name] extends ConfigKey<infer T> ? T : never
}

type KeyOptions = Partial<Omit<ConfigKey, 'definition' | 'importance' | 'documentation'>>

export function key<T>(
  definition: Definition<T>,
  importance: ConfigKey['importance'],
  documentation: string,
  options: KeyOptions = {},
): ConfigKey<T> {
  return {
    definition,
    importance,
    documentation,
    isRequired: false,
    group: null,
    order: -1,
    width: 'NONE',
    displayName: null,
    dependents: [],
    recommend: null,
    ...options,
  }
}

/** A setting that must be given. */
export function required<T>(
  definition: Definition<T>,
  importance: ConfigKey['importance'],
  documentation: string,
  options: KeyOptions = {},
): ConfigKey<NonNullable<T>> {
  return key(definition as Definition<NonNullable<T>>, importance, documentation, {
    ...options,
    isRequired: true,
  })
}

export class ConfigDef<Keys extends ConfigKeys = ConfigKeys> {
  readonly keys: ReadonlyMap<string, ConfigKey>

  constructor(keys: Keys) {
    this.keys = new Map(Object.entries(keys))
  }

  get groups(): string[] {
    return [...new Set([...this.keys.values()].flatMap(({ group }) => group ?? []))]
  }

  /** All values by name. Throws ConfigError for the first that is not valid, or missing. */
  parse(settings: Settings): ParsedConfig<Keys> {
    const parsed: [string, unknown][] = []
    for (const [name, { definition, isRequired }] of this.keys) {
      const text = settings.get(name) ?? definition.defaultText
      if (text === null && isRequired) throw new ConfigError(name, missing(name))
      parsed.push([name, text === null ? null : parseSetting(name, definition, text)])
    }
    return Object.fromEntries(parsed) as ParsedConfig<Keys>
  }

  /** Looks at every setting of the table; others are left alone. Never throws. */
  validate(settings: Settings): ConfigValue[] {
    return Array.from(this.keys, ([name, configKey]) =>
      this.#validateOne(name, configKey, settings),
    )
  }

  #validateOne(
    name: string,
    { definition, isRequired, recommend }: ConfigKey,
    settings: Settings,
  ): ConfigValue {
    const text = settings.get(name) ?? definition.defaultText
    const errors: string[] = []
    let value: string | null = null
    if (text === null) {
      if (isRequired) errors.push(missing(name))
    } else {
      try {
        value = shownValue(definition, parseSetting(name, definition, text))
      } catch (error) {
        errors.push((error as Error).message)
      }
    }
    const { values, isVisible } = recommend?.(settings) ?? { values: [], isVisible: true }
    return { name, value, recommendedValues: values, errors, isVisible }
  }
}

function missing(name: string): string {
  return `Missing required configuration "${name}" which has no default value.`
}

/** A password is never shown. */
function shownValue(definition: Definition, value: unknown): string | null {
  if (value === null) return null
  if (definition.type === 'password') return '[hidden]'
  return Array.isArray(value) ? value.join(',') : String(value)
}
