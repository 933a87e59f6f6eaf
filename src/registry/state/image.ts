/**
 * What the registry knows: `_schemas` from its beginning, applied record by record. Nothing else changes
 * it, so that every registry that reads the topic knows the same.
 */
import {
  type Config,
  contentOf,
  type Reference,
  type RegistryRecord,
  type StoredSchema,
} from './records.ts'

/** The name under which settings for all subjects are kept: no subject is called so. */
const everything = ''

export class RegistryImage {
  readonly #subjects = new Map<string, Map<number, StoredSchema>>()
  readonly #byId = new Map<number, Set<StoredSchema>>()
  /** Imports may have given one content several ids. */
  readonly #byContent = new Map<string, Set<StoredSchema>>()
  readonly #referrers = new Map<string, Set<StoredSchema>>()
  readonly #configs = new Map<string, Config>()
  readonly #modes = new Map<string, string>()
  #idMax = 0

  /** Greater than every id that was ever seen. */
  get nextId(): number {
    return this.#idMax + 1
  }

  /** In alphabetical order. */
  subjects({ deleted = false, deletedOnly = false } = {}): string[] {
    const names: string[] = []
    for (const [name, versions] of this.#subjects) {
      const isLive = [...versions.values()].some(({ isDeleted }) => !isDeleted)
      if (deletedOnly ? !isLive : isLive || deleted) names.push(name)
    }
    return names.sort()
  }

  /** In order of their numbers. */
  versions(subject: string, { deleted = false } = {}): StoredSchema[] {
    const versions = [...(this.#subjects.get(subject)?.values() ?? [])]
    return versions
      .filter(({ isDeleted }) => deleted || !isDeleted)
      .sort((left, right) => left.version - right.version)
  }

  version(subject: string, version: number): StoredSchema | undefined {
    return this.#subjects.get(subject)?.get(version)
  }

  /** The versions, of whatever subjects, that have this id; they have one content. */
  withId(id: number): StoredSchema[] {
    return [...(this.#byId.get(id) ?? [])].sort(
      (left, right) => compare(left.subject, right.subject) || left.version - right.version,
    )
  }

  /** The versions, of whatever subjects, that have this content; the first put there first. */
  withContent(content: string): Iterable<StoredSchema> {
    return this.#byContent.get(content) ?? []
  }

  referrers(subject: string, version: number): StoredSchema[] {
    return [...(this.#referrers.get(nameOf({ subject, version })) ?? [])]
  }

  /** Null: for all subjects. Undefined: none is set. */
  config(subject: string | null): Config | undefined {
    return this.#configs.get(subject ?? everything)
  }

  mode(subject: string | null): string | undefined {
    return this.#modes.get(subject ?? everything)
  }

  apply(record: RegistryRecord): void {
    switch (record.type) {
      case 'SCHEMA':
        if (record.value === null) this.#remove(record.subject, record.version)
        else this.#put(record.value)
        return
      case 'DELETE_SUBJECT':
        for (const schema of this.versions(record.subject))
          if (schema.version <= record.version) this.#put({ ...schema, isDeleted: true })
        return
      case 'CLEAR_SUBJECT':
        for (const { subject, version } of this.versions(record.subject, { deleted: true }))
          this.#remove(subject, version)
        return
      case 'CONFIG':
        set(this.#configs, record.subject ?? everything, record.value)
        return
      case 'MODE':
        set(this.#modes, record.subject ?? everything, record.value)
        return
      case 'NOOP':
    }
  }

  #put(schema: StoredSchema): void {
    const { subject, version, id } = schema
    this.#remove(subject, version)
    this.#idMax = Math.max(this.#idMax, id)
    group(this.#subjects, subject, () => new Map()).set(version, schema)
    group(this.#byId, id, () => new Set()).add(schema)
    group(this.#byContent, contentOf(schema), () => new Set()).add(schema)
    for (const reference of schema.references)
      group(this.#referrers, nameOf(reference), () => new Set()).add(schema)
  }

  #remove(subject: string, version: number): void {
    const schema = this.version(subject, version)
    if (schema === undefined) return
    this.#subjects.get(subject)!.delete(version)
    if (this.#subjects.get(subject)!.size === 0) this.#subjects.delete(subject)
    remove(this.#byId, schema.id, schema)
    remove(this.#byContent, contentOf(schema), schema)
    for (const reference of schema.references) remove(this.#referrers, nameOf(reference), schema)
  }
}

function nameOf({ subject, version }: Pick<Reference, 'subject' | 'version'>): string {
  return `${version}:${subject}`
}

function set<Value>(map: Map<string, Value>, key: string, value: Value | null): void {
  if (value === null) map.delete(key)
  else map.set(key, value)
}

function group<Key, Group>(map: Map<Key, Group>, key: Key, make: () => Group): Group {
  const known = map.get(key)
  if (known !== undefined) return known
  const made = make()
  map.set(key, made)
  return made
}

/** A group of none is gone. */
function remove<Key, Item>(groups: Map<Key, Set<Item>>, key: Key, item: Item): void {
  const items = groups.get(key)
  items?.delete(item)
  if (items?.size === 0) groups.delete(key)
}

function compare(left: string, right: string): number {
  return left < right ? -1 : left > right ? 1 : 0
}
