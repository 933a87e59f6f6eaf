/**
 * The transformations of a connector, in their order: `transforms` names them, `transforms.a.type` says
 * what each is, `transforms.a.predicate` for which records, and `negate` for all others instead.
 */
import {
  boolean,
  ConfigError,
  className,
  type Definition,
  parseSetting,
  string,
} from '../../config/definition.ts'
import { type ConfigKey, key, required, type Settings } from '../config-def.ts'
import { optionsOf } from '../converters/known-converters.ts'
import type { Processing, Tolerance } from '../errors/tolerance.ts'
import type { Awaitable, Transform } from '../plugin.ts'
import type { Plugins } from '../plugins.ts'
import type { ConnectRecord } from '../records.ts'

interface Step {
  readonly className: string
  readonly transform: Transform
}

export class TransformChain {
  readonly #steps: readonly Step[]

  /** Throws ConfigError. */
  constructor(plugins: Plugins, settings: Settings) {
    for (const of of ['transforms', 'predicates'] as const) checkAliases(settings, of)
    this.#steps = aliasesOf(settings, 'transforms').map((alias) => stepOf(plugins, settings, alias))
  }

  /** It changes nothing. */
  get isEmpty(): boolean {
    return this.#steps.length === 0
  }

  /** Null: the record was dropped, or has failed. */
  apply<R extends ConnectRecord, Original>(
    tolerance: Tolerance<Original>,
    processing: Processing<Original>,
    record: R,
  ): Awaitable<R | null> {
    let current: R | null = record
    for (const [at, { className: of, transform }] of this.#steps.entries()) {
      const given: R = current
      const result = tolerance.execute(processing, 'TRANSFORMATION', of, () => transform(given))
      if (result instanceof Promise) return this.#applyFrom(tolerance, processing, result, at + 1)
      current = result
      if (current === null) return null
    }
    return current
  }

  /** As `apply`, behind a step that had to be tried again. */
  async #applyFrom<R extends ConnectRecord, Original>(
    tolerance: Tolerance<Original>,
    processing: Processing<Original>,
    first: Promise<R | null>,
    from: number,
  ): Promise<R | null> {
    let current = await first
    for (const { className: of, transform } of this.#steps.slice(from)) {
      if (current === null) return null
      const given: R = current
      current = await tolerance.execute(processing, 'TRANSFORMATION', of, () => transform(given))
    }
    return current
  }
}

function stepOf(plugins: Plugins, settings: Settings, alias: string): Step {
  const prefix = `transforms.${alias}.`
  const name = settings.get(`${prefix}type`) ?? ''
  const plugin = plugins.transformation(name)
  if (plugin === undefined) throw unknownClass(`${prefix}type`, name)
  const transform = within(prefix, () => plugin.create(optionsOf(settings, prefix)))
  const predicateAlias = settings.get(`${prefix}predicate`)
  const negateText = settings.get(`${prefix}negate`)
  if (predicateAlias === undefined) {
    if (negateText !== undefined)
      throw new ConfigError(
        `${prefix}negate`,
        `Config '${prefix}negate' was provided but there is no config '${prefix}predicate' defining a predicate to be negated.`,
      )
    return { className: plugin.className, transform }
  }
  const predicate = predicateOf(plugins, settings, `${prefix}predicate`, predicateAlias)
  const isNegated =
    negateText !== undefined && parseSetting(`${prefix}negate`, boolean(false), negateText)
  return {
    className: plugin.className,
    transform: (record) => (predicate(record) === isNegated ? record : transform(record)),
  }
}

function predicateOf(plugins: Plugins, settings: Settings, named: string, alias: string) {
  if (!aliasesOf(settings, 'predicates').includes(alias))
    throw new ConfigError(
      named,
      `Invalid value ${alias} for configuration ${named}: no predicate of this alias is in predicates`,
    )
  const prefix = `predicates.${alias}.`
  const name = settings.get(`${prefix}type`) ?? ''
  const plugin = plugins.predicate(name)
  if (plugin === undefined) throw unknownClass(`${prefix}type`, name)
  return within(prefix, () => plugin.create(optionsOf(settings, prefix)))
}

/** What a plug-in says of its own setting, said of the connector's. */
function within<T>(prefix: string, create: () => T): T {
  try {
    return create()
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    throw new ConfigError(`${prefix}${error.setting}`, error.message)
  }
}

function unknownClass(setting: string, name: string): ConfigError {
  return new ConfigError(
    setting,
    `Invalid value ${name} for configuration ${setting}: Class ${name} could not be found.`,
  )
}

function aliasesOf(settings: Settings, of: 'transforms' | 'predicates'): string[] {
  const names = (settings.get(of) ?? '').split(',').map((name) => name.trim())
  return [...new Set(names.filter((name) => name !== ''))]
}

/** Throws ConfigError for one that comes twice. */
function checkAliases(settings: Settings, of: 'transforms' | 'predicates'): void {
  const names = (settings.get(of) ?? '').split(',').map((name) => name.trim())
  if (new Set(names).size < names.length)
    throw new ConfigError(
      of,
      `Invalid value [${names.join(', ')}] for configuration ${of}: Duplicate alias provided.`,
    )
}

const known = (names: Iterable<string>, isKnown: (name: string) => boolean): Definition<string> => {
  const definition = className(null) as Definition<string>
  return {
    ...definition,
    parse: (text) => {
      if (!isKnown(text.trim())) throw new Error(`Class ${text} could not be found.`)
      return definition.parse(text)
    },
    allowed: [...names].join(', '),
  }
}

/** The settings that a connector has for the transformations and predicates that it names. */
export function transformKeys(plugins: Plugins, settings: Settings): Map<string, ConfigKey> {
  const keys = new Map<string, ConfigKey>()
  const add = (
    of: 'transforms' | 'predicates',
    all: ReadonlyMap<string, unknown>,
    find: (name: string) => { config: { keys: ReadonlyMap<string, ConfigKey> } } | undefined,
    what: string,
  ) => {
    for (const alias of aliasesOf(settings, of)) {
      const group = `${what}s: ${alias}`
      const prefix = `${of}.${alias}.`
      const type = known(all.keys(), (name) => find(name) !== undefined)
      const doc = `Class for the '${alias}' ${what.toLowerCase()}.`
      keys.set(`${prefix}type`, required(type, 'HIGH', doc, { group, order: 0, width: 'LONG' }))
      if (of === 'transforms') {
        const negate = 'Whether it applies to all records but those of its predicate.'
        keys.set(`${prefix}predicate`, key(string(null), 'MEDIUM', 'For which records.', { group }))
        keys.set(`${prefix}negate`, key(boolean(false), 'MEDIUM', negate, { group }))
      }
      const plugin = find(settings.get(`${prefix}type`) ?? '')
      for (const [name, own] of plugin?.config.keys ?? [])
        keys.set(`${prefix}${name}`, { ...own, group })
    }
  }
  add('transforms', plugins.transformations, (name) => plugins.transformation(name), 'Transform')
  add('predicates', plugins.predicates, (name) => plugins.predicate(name), 'Predicate')
  return keys
}
