/**
 * The schema registry: subjects, their versions, and who may follow whom. It decides by what it has read
 * from `_schemas` and changes nothing but by what it writes there (`state/`). `rest.ts` is its face.
 *
 * What lives in this folder: the registry, the kinds of schema that it understands, and Avro itself
 * (`avro/`), which the Avro converter uses too. What must not: the broker's insides. It works on any Kafka.
 */
import type { Cluster } from '../client/cluster.ts'
import { inTurns } from '../environment/in-turns.ts'
import { SchemaError } from './avro/schema.ts'
import { type Earlier, incompatibilities, levelOf } from './compatibility.ts'
import { refusals } from './registry-error.ts'
import {
  type ParsedSchema,
  parseSchema,
  type SchemaType,
  type Source,
  schemaTypeOf,
} from './schema-types.ts'
import { RegistryImage } from './state/image.ts'
import {
  type Config,
  contentOf,
  type Reference,
  type RegistryRecord,
  type StoredSchema,
} from './state/records.ts'
import { SchemaLog, type SchemaLogOptions } from './state/schema-log.ts'

/** A schema that somebody sent. */
export interface Submitted {
  readonly type: string
  readonly text: string
  readonly references: readonly Reference[]
  readonly metadata: object | null
  readonly ruleSet: object | null
  /** Of an import; else the registry's own choice. */
  readonly id?: number | undefined
  readonly version?: number | undefined
}

/** -1: the last one. */
export type VersionNumber = number
export const latestVersion: VersionNumber = -1

const modes = ['READWRITE', 'READONLY', 'READONLY_OVERRIDE', 'IMPORT', 'FORWARD']
/** Schemas that one schema may draw in, and their characters together. */
const referencesMax = 1000
const referencedCharactersMax = 8 * 1024 * 1024
const subjectCharactersMax = 1024

interface ReadSchema {
  readonly parsed: ParsedSchema
  /** As it is to be stored. */
  readonly text: string
  readonly references: readonly Reference[]
  readonly content: string
}

interface Deciding {
  readonly normalize?: boolean
}

/** Every function that fails rejects with, or throws, RegistryError. */
export class SchemaRegistry {
  readonly #cluster: Cluster
  readonly #image = new RegistryImage()
  readonly #log: SchemaLog

  constructor(cluster: Cluster, options: SchemaLogOptions) {
    this.#cluster = cluster
    this.#log = new SchemaLog(cluster, options, (record) => this.#image.apply(record))
  }

  open(): Promise<void> {
    return this.#log.open()
  }

  close(): Promise<void> {
    return this.#log.close()
  }

  /** After it, what others wrote before is known. */
  catchUp(): Promise<void> {
    return this.#log.catchUp()
  }

  /** Of schemas, for those who only read. */
  get image(): Pick<
    RegistryImage,
    'subjects' | 'versions' | 'version' | 'withId' | 'withContent' | 'referrers' | 'config' | 'mode'
  > {
    return this.#image
  }

  /** With all that it refers to. Throws SchemaError where some of that is gone. */
  source({ type, text, references }: StoredSchema): Source {
    const known = schemaTypeOf(type)
    if (known === undefined) throw new SchemaError(`The schema is of a type ${type}`)
    return { type: known, text, references: this.#textsOf(references) }
  }

  versions(subject: string, { deleted = false } = {}): StoredSchema[] {
    const versions = this.#image.versions(subject, { deleted })
    if (versions.length === 0) throw refusals.subjectNotFound(subject)
    return versions
  }

  version(subject: string, version: VersionNumber, { deleted = false } = {}): StoredSchema {
    const versions = this.versions(subject, { deleted })
    const found =
      version === latestVersion
        ? versions.at(-1)
        : versions.find((schema) => schema.version === version)
    if (found === undefined) throw refusals.versionNotFound(version)
    return found
  }

  /** The version of the subject that has this content. */
  lookUp(
    subject: string,
    submitted: Submitted,
    { normalize = false, deleted = false }: Deciding & { deleted?: boolean } = {},
  ): StoredSchema {
    this.versions(subject, { deleted })
    const { content } = this.#read(subject, submitted, { normalize, isStrict: false })
    const found = this.#withContent(subject, content, deleted)
    if (found === undefined) throw refusals.schemaNotFound()
    return found
  }

  /** The version that the subject has, or now has, with this schema. */
  async register(
    subject: string,
    submitted: Submitted,
    { normalize = false }: Deciding = {},
  ): Promise<StoredSchema> {
    checkSubject(subject)
    return this.#log.write(async () => {
      this.#requireRegistration(subject, submitted)
      const isImport = submitted.id !== undefined
      const read = this.#read(subject, submitted, { normalize, isStrict: !isImport })
      const known = this.#withContent(subject, read.content, false)
      if (known !== undefined && (!isImport || known.id === submitted.id))
        return { records: [], answer: known }
      if (!isImport) await this.#requireCompatibility(subject, read.parsed)
      const schema = this.#stored(subject, submitted, read)
      return { records: [...this.#replaced(schema), put(schema)], answer: schema }
    })
  }

  /** What stands between the schema and those versions (undefined: all); empty: nothing. */
  async compatibility(
    subject: string,
    submitted: Submitted,
    version: VersionNumber | undefined,
    { normalize = false }: Deciding = {},
  ): Promise<readonly string[]> {
    const versions = this.#image.versions(subject).reverse()
    const chosen = version === undefined || version === latestVersion ? versions : []
    if (version !== undefined && version !== latestVersion)
      chosen.push(this.#liveVersion(subject, version))
    const { parsed } = this.#read(subject, submitted, { normalize, isStrict: true })
    const asked = version === undefined ? chosen : chosen.slice(0, 1)
    return this.#incompatibilities(subject, parsed, asked)
  }

  /** The versions that are gone. */
  async deleteSubject(subject: string, isPermanent: boolean): Promise<readonly number[]> {
    return this.#log.write(async () => {
      const all = this.versions(subject, { deleted: true })
      const live = this.#image.versions(subject)
      if (!isPermanent && live.length === 0) throw refusals.subjectSoftDeleted(subject)
      this.#requireWritable(subject)
      const gone = isPermanent ? all : live
      for (const { version } of gone) {
        const referrers = this.#referrers(subject, version, isPermanent)
        if (referrers.some((schema) => schema.subject !== subject))
          throw refusals.referenced(subject, version)
      }
      if (isPermanent && live.length > 0) throw refusals.subjectNotSoftDeleted(subject)
      const answer = gone.map(({ version }) => version)
      if (!isPermanent) {
        const version = answer.at(-1)!
        return { records: [{ type: 'DELETE_SUBJECT', subject, version } as const], answer }
      }
      // Those that refer to others of the subject go first.
      const records = [...answer].reverse().map((version) => tombstone(subject, version))
      return { records: [...records, ...this.#unset(subject)], answer }
    })
  }

  async deleteVersion(
    subject: string,
    version: VersionNumber,
    isPermanent: boolean,
  ): Promise<number> {
    return this.#log.write(async () => {
      const isLatest = version === latestVersion
      const found = this.version(subject, version, { deleted: !isLatest || isPermanent })
      if (!isPermanent && found.isDeleted) throw refusals.versionSoftDeleted(subject, found.version)
      this.#requireWritable(subject)
      if (this.#referrers(subject, found.version, isPermanent).length > 0)
        throw refusals.referenced(subject, found.version)
      if (isPermanent && !found.isDeleted)
        throw refusals.versionNotSoftDeleted(subject, found.version)
      const isLast = this.#image.versions(subject, { deleted: true }).length === 1
      const records = isPermanent
        ? [tombstone(subject, found.version), ...(isLast ? this.#unset(subject) : [])]
        : [put({ ...found, isDeleted: true })]
      return { records, answer: found.version }
    })
  }

  /** Null: for all subjects that have none of their own. */
  configInScope(subject: string | null): Config & { readonly compatibilityLevel: string } {
    const everywhere = { compatibilityLevel: 'BACKWARD', ...this.#image.config(null) }
    return subject === null ? everywhere : { ...everywhere, ...this.#image.config(subject) }
  }

  async setConfig(subject: string | null, given: Config): Promise<void> {
    const level = given.compatibilityLevel
    if (level !== undefined && levelOf(level) === null) throw refusals.invalidLevel()
    if (subject !== null) checkSubject(subject)
    const config = level === undefined ? given : { ...given, compatibilityLevel: levelOf(level)! }
    await this.#log.write(async () => {
      this.#requireWritable(subject)
      const value = { ...this.#image.config(subject), ...config }
      return { records: [{ type: 'CONFIG', subject, value } as const], answer: undefined }
    })
  }

  /** What was set; of all subjects the default where nothing was. */
  async deleteConfig(subject: string | null): Promise<Config> {
    return this.#log.write(async () => {
      const answer = this.#image.config(subject)
      if (answer === undefined && subject !== null) throw refusals.subjectNotFound(subject)
      this.#requireWritable(subject)
      const records: RegistryRecord[] =
        answer === undefined ? [] : [{ type: 'CONFIG', subject, value: null }]
      return { records, answer: answer ?? this.configInScope(null) }
    })
  }

  modeInScope(subject: string | null): string {
    const everywhere = this.#image.mode(null) ?? 'READWRITE'
    if (subject === null || everywhere === 'READONLY_OVERRIDE') return everywhere
    return this.#image.mode(subject) ?? everywhere
  }

  async setMode(subject: string | null, given: string, isForced: boolean): Promise<string> {
    const mode = given.toUpperCase()
    if (!modes.includes(mode)) throw refusals.invalidMode()
    if (mode === 'FORWARD' && subject !== null) throw refusals.invalidMode()
    if (subject !== null) checkSubject(subject)
    return this.#log.write(async () => {
      const isNewImport = mode === 'IMPORT' && this.modeInScope(subject) !== 'IMPORT'
      const live =
        subject === null ? this.#image.subjects().length : this.#image.versions(subject).length
      if (isNewImport && !isForced && live > 0)
        throw refusals.notPermitted('Cannot import since found existing subjects')
      return { records: [{ type: 'MODE', subject, value: mode } as const], answer: mode }
    })
  }

  async deleteMode(subject: string | null): Promise<string> {
    return this.#log.write(async () => {
      const answer = this.#image.mode(subject)
      if (answer === undefined) {
        if (subject !== null) throw refusals.subjectNotFound(subject)
        return { records: [], answer: this.modeInScope(null) }
      }
      return { records: [{ type: 'MODE', subject, value: null } as const], answer }
    })
  }

  /** Schemas that use this version: those that are deleted softly too, unless only live ones count. */
  #referrers(subject: string, version: number, withDeleted: boolean): StoredSchema[] {
    const referrers = this.#image.referrers(subject, version)
    return withDeleted ? referrers : referrers.filter(({ isDeleted }) => !isDeleted)
  }

  /** The newest version of the subject that has this content. */
  #withContent(subject: string, content: string, deleted: boolean): StoredSchema | undefined {
    let found: StoredSchema | undefined
    for (const schema of this.#image.withContent(content)) {
      const isOne = schema.subject === subject && (deleted || !schema.isDeleted)
      if (isOne && schema.version > (found?.version ?? -1)) found = schema
    }
    return found
  }

  #liveVersion(subject: string, version: number): StoredSchema {
    const found = this.#image.version(subject, version)
    if (found === undefined || found.isDeleted) throw refusals.versionNotFound(version)
    return found
  }

  #read(
    subject: string,
    submitted: Submitted,
    how: { normalize: boolean; isStrict: boolean },
  ): ReadSchema {
    const type = schemaTypeOf(submitted.type)
    if (type === undefined) throw refusals.invalidSchema(submitted.type, 'no such type is known')
    const { metadata, ruleSet } = submitted
    try {
      const references = submitted.references.map((each) => this.#pinned(each))
      const parsed = this.#parse(type, submitted.text, references, how.isStrict)
      const isNormalized = how.normalize || this.configInScope(subject).normalize === true
      const text = isNormalized ? parsed.normalizedText() : parsed.text
      const content = contentOf({ type, text, references, metadata, ruleSet })
      return { parsed, text, references, content }
    } catch (error) {
      if (error instanceof SchemaError) throw refusals.invalidSchema(type, error.message)
      throw error
    }
  }

  #parse(
    type: SchemaType,
    text: string,
    references: readonly Reference[],
    isStrict: boolean,
  ): ParsedSchema {
    return parseSchema({ type, text, references: this.#textsOf(references) }, { isStrict })
  }

  /** With a number in place of "the last one". */
  #pinned(reference: Reference): Reference {
    if (reference.version !== latestVersion) return reference
    const last = this.#image.versions(reference.subject).at(-1)
    return last === undefined ? reference : { ...reference, version: last.version }
  }

  /** Texts by name, each after those that it refers to. */
  #textsOf(references: readonly Reference[]): ReadonlyMap<string, string> {
    const texts = new Map<string, string>()
    const open = new Set<string>()
    let characters = 0
    const visit = ({ name, subject, version }: Reference): void => {
      if (texts.has(name) || open.has(name)) return
      const schema = this.#image.version(subject, version)
      if (schema === undefined)
        throw new SchemaError(
          `No schema reference found for subject "${subject}" and version ${version}`,
        )
      characters += schema.text.length
      if (open.size + texts.size >= referencesMax || characters > referencedCharactersMax)
        throw new SchemaError('The schema has too many references')
      open.add(name)
      for (const inner of schema.references) visit(inner)
      open.delete(name)
      texts.set(name, schema.text)
    }
    for (const reference of references) visit(reference)
    return texts
  }

  async #requireCompatibility(subject: string, parsed: ParsedSchema): Promise<void> {
    const earlier = this.#image.versions(subject).reverse()
    const messages = await this.#incompatibilities(subject, parsed, earlier)
    if (messages.length > 0) throw refusals.incompatible(subject, messages, parsed.type)
  }

  /** `earlier` begins with the newest. */
  async #incompatibilities(
    subject: string,
    parsed: ParsedSchema,
    earlier: readonly StoredSchema[],
  ): Promise<readonly string[]> {
    const level = levelOf(this.configInScope(subject).compatibilityLevel) ?? 'BACKWARD'
    try {
      return await inTurns(
        this.#cluster.environment,
        incompatibilities(level, parsed, this.#parsedOnDemand(earlier)),
      )
    } catch (error) {
      if (error instanceof SchemaError) throw refusals.invalidSchema(parsed.type, error.message)
      throw error
    }
  }

  *#parsedOnDemand(earlier: readonly StoredSchema[]): Generator<Earlier> {
    for (const { type, text, references, version } of earlier) {
      const known = schemaTypeOf(type)
      if (known === undefined) throw new SchemaError(`Version ${version} is of type ${type}`)
      yield { version, schema: this.#parse(known, text, references, false) }
    }
  }

  #stored(
    subject: string,
    submitted: Submitted,
    { text, references, content }: ReadSchema,
  ): StoredSchema {
    const last = this.#image.versions(subject, { deleted: true }).at(-1)?.version ?? 0
    const { type, metadata, ruleSet } = submitted
    const [known] = this.#image.withContent(content)
    const id = submitted.id ?? known?.id ?? this.#image.nextId
    const version = submitted.version ?? last + 1
    const same = this.#image.withId(id)[0]
    if (same !== undefined && contentOf(same) !== content) throw refusals.idTaken(id)
    const parts = { type, text, references, metadata, ruleSet }
    return { subject, version, id, ...parts, isDeleted: false }
  }

  /** Softly deleted versions of the same content go for good: the new one takes their place. */
  #replaced({ subject, id, version }: StoredSchema): RegistryRecord[] {
    return this.#image
      .versions(subject, { deleted: true })
      .filter((old) => old.isDeleted && old.id === id && old.version < version)
      .filter((old) => this.#image.referrers(subject, old.version).length === 0)
      .map((old) => tombstone(subject, old.version))
  }

  #unset(subject: string): RegistryRecord[] {
    const records: RegistryRecord[] = []
    if (this.#image.mode(subject) !== undefined)
      records.push({ type: 'MODE', subject, value: null })
    if (this.#image.config(subject) !== undefined)
      records.push({ type: 'CONFIG', subject, value: null })
    return records
  }

  #requireWritable(subject: string | null): void {
    if (this.modeInScope(subject).startsWith('READONLY'))
      throw refusals.notPermitted(`Subject ${subject} in context . is in read-only mode`)
  }

  #requireRegistration(subject: string, { id, version }: Submitted): void {
    this.#requireWritable(subject)
    const mode = this.modeInScope(subject)
    const isImport = mode === 'IMPORT' || mode === 'FORWARD'
    if (id !== undefined && !isImport)
      throw refusals.notPermitted(`Subject ${subject} in context . is not in import mode`)
    if (id === undefined && mode !== 'READWRITE')
      throw refusals.notPermitted(`Subject ${subject} in context . is not in read-write mode`)
    const next = (this.#image.versions(subject, { deleted: true }).at(-1)?.version ?? 0) + 1
    if (version !== undefined && !isImport && version !== next)
      throw refusals.invalidSchema('AVRO', 'Version is not one more than previous version')
  }
}

function put(value: StoredSchema): RegistryRecord {
  return { type: 'SCHEMA', subject: value.subject, version: value.version, value }
}

function tombstone(subject: string, version: number): RegistryRecord {
  return { type: 'SCHEMA', subject, version, value: null }
}

function checkSubject(subject: string): void {
  // Control characters are in no name that anybody chose.
  const isWhole = subject.length > 0 && subject.length <= subjectCharactersMax
  if (!isWhole || /\p{Cc}/u.test(subject) || subject === '__GLOBAL' || subject === '__EMPTY')
    throw refusals.invalidSubject(subject.slice(0, subjectCharactersMax))
}
