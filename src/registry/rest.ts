/**
 * The registry's REST API, as the usual one has it: the table of its routes. Errors carry the registry's
 * own codes; answers are JSON in `application/vnd.schemaregistry.v1+json`.
 */

import type { HttpAnswer, HttpRequest } from '../http/routes.ts'
import {
  HttpError,
  json,
  type Route,
  type RoutedRequest,
  route,
  routeTable,
} from '../http/routes.ts'
import { RegistryError, refusals } from './registry-error.ts'
import { latestVersion, type SchemaRegistry, type Submitted } from './schema-registry.ts'
import { schemaTypes } from './schema-types.ts'
import {
  configOf,
  contentsOfGuid,
  guidOf,
  plainObject,
  referencesOf,
  type StoredSchema,
} from './state/records.ts'

const contentType = 'application/vnd.schemaregistry.v1+json'
const accepts = [
  contentType,
  'application/vnd.schemaregistry+json',
  'application/json',
  // Some clients name no type that they send.
  'application/octet-stream',
]

type Fields = Readonly<Record<string, unknown>>

export function registryRoutes(
  registry: SchemaRegistry,
): (request: HttpRequest) => Promise<HttpAnswer> {
  const routes = [
    ...subjectRoutes(registry),
    ...versionRoutes(registry),
    ...schemaRoutes(registry),
    ...compatibilityRoutes(registry),
    ...configRoutes(registry),
    ...modeRoutes(registry),
    route('GET', '/contexts', () => json(200, ['.'])),
  ]
  return routeTable(routes, {
    accepts,
    contentType,
    explain: (error) =>
      error instanceof RegistryError
        ? new HttpError(Number(String(error.code).slice(0, 3)), error.message, { code: error.code })
        : undefined,
  })
}

function subjectRoutes(registry: SchemaRegistry): Route[] {
  return [
    route('GET', '/subjects', ({ query }) => {
      const deleted = flag(query, 'deleted')
      const names = registry.image.subjects({ deleted, deletedOnly: flag(query, 'deletedOnly') })
      const prefix = prefixOf(query)
      return json(200, page(query, prefix === '' ? names : names.filter(startingWith(prefix))))
    }),
    route('GET', '/subjects/{subject}/metadata', async ({ parameters, query }) => {
      const deleted = flag(query, 'deleted')
      const found = await fresh(registry, () => {
        const versions = registry.versions(parameters['subject']!, { deleted })
        const named = versions.findLast(({ metadata }) => hasProperties(metadata, query))
        if (named === undefined) throw refusals.schemaNotFound()
        return named
      })
      return json(200, described(found))
    }),
    route('POST', '/subjects/{subject}', async (request) => {
      const submitted = submittedBy(request)
      const normalize = flag(request.query, 'normalize')
      const how = { normalize, deleted: flag(request.query, 'deleted') }
      const found = await fresh(registry, () =>
        registry.lookUp(request.parameters['subject']!, submitted, how),
      )
      return json(200, described(found))
    }),
    route('DELETE', '/subjects/{subject}', async ({ parameters, query }) =>
      json(200, await registry.deleteSubject(parameters['subject']!, flag(query, 'permanent'))),
    ),
  ]
}

function versionRoutes(registry: SchemaRegistry): Route[] {
  const versionOf = ({ parameters, query }: RoutedRequest): Promise<StoredSchema> => {
    const version = versionNumber(parameters['version']!)
    const deleted = flag(query, 'deleted')
    return fresh(registry, () => registry.version(parameters['subject']!, version, { deleted }))
  }
  return [
    route('GET', '/subjects/{subject}/versions', async ({ parameters, query }) => {
      const deletedOnly = flag(query, 'deletedOnly')
      const deleted = flag(query, 'deleted') || deletedOnly
      const versions = await fresh(registry, () =>
        registry.versions(parameters['subject']!, { deleted }),
      )
      const chosen = deletedOnly ? versions.filter(({ isDeleted }) => isDeleted) : versions
      return json(
        200,
        page(query, chosen).map(({ version }) => version),
      )
    }),
    route('POST', '/subjects/{subject}/versions', async (request) => {
      const normalize = flag(request.query, 'normalize')
      const subject = request.parameters['subject']!
      const schema = await registry.register(subject, submittedBy(request), { normalize })
      return json(200, { id: schema.id, version: schema.version, guid: guidOf(schema) })
    }),
    route('GET', '/subjects/{subject}/versions/{version}', async (request) =>
      json(200, described(await versionOf(request))),
    ),
    route('GET', '/subjects/{subject}/versions/{version}/schema', async (request) =>
      plain((await versionOf(request)).text),
    ),
    route('GET', '/subjects/{subject}/versions/{version}/referencedby', async (request) => {
      const version = versionNumber(request.parameters['version']!)
      const subject = request.parameters['subject']!
      const schema = await fresh(registry, () =>
        registry.version(subject, version, { deleted: true }),
      )
      const deleted = flag(request.query, 'deleted')
      const ids = registry.image
        .referrers(schema.subject, schema.version)
        .filter(({ isDeleted }) => deleted || !isDeleted)
        .map(({ id }) => id)
      const sorted = [...new Set(ids)].sort((left, right) => left - right)
      return json(200, page(request.query, sorted))
    }),
    route('DELETE', '/subjects/{subject}/versions/{version}', async ({ parameters, query }) => {
      const version = versionNumber(parameters['version']!)
      const isPermanent = flag(query, 'permanent')
      return json(200, await registry.deleteVersion(parameters['subject']!, version, isPermanent))
    }),
  ]
}

function schemaRoutes(registry: SchemaRegistry): Route[] {
  const withId = async ({ parameters, query }: RoutedRequest): Promise<StoredSchema[]> => {
    const text = parameters['id']!
    const id = /^\d{1,10}$/.test(text) ? Number(text) : -1
    const schemas = await fresh(registry, () => {
      const found = registry.image.withId(id)
      if (found.length === 0) throw refusals.schemaNotFound(text)
      return found
    })
    const subject = query.get('subject')
    const named = schemas.filter((schema) => schema.subject === subject)
    return named.length > 0 ? named : schemas
  }
  const withGuid = ({ parameters }: RoutedRequest): Promise<StoredSchema[]> => {
    const guid = parameters['guid']!
    return fresh(registry, () => {
      const contents = contentsOfGuid(guid, schemaTypes)
      const found = contents.flatMap((content) => [...registry.image.withContent(content)])
      if (found.length === 0) throw refusals.schemaNotFound(guid)
      return found
    })
  }
  const live = ({ query }: RoutedRequest, schemas: readonly StoredSchema[]) =>
    schemas.filter(({ isDeleted }) => flag(query, 'deleted') || !isDeleted)
  return [
    route('GET', '/schemas/types', () => json(200, schemaTypes)),
    route('GET', '/schemas', ({ query }) => {
      const deleted = flag(query, 'deleted')
      const starts = startingWith(prefixOf(query))
      const subjects = registry.image.subjects({ deleted }).filter(starts)
      const schemas = subjects.flatMap((subject) => {
        const versions = registry.image.versions(subject, { deleted })
        return flag(query, 'latestOnly') ? versions.slice(-1) : versions
      })
      return json(200, page(query, schemas).map(described))
    }),
    route('GET', '/schemas/ids/{id}', async (request) => {
      const [schema] = await withId(request)
      const names = request.query.get('subject') === null ? [] : ['subject', 'version']
      const wanted = ['guid', ...names, 'schemaType', 'references', 'metadata', 'ruleSet', 'schema']
      return json(200, picked(described(schema!), wanted))
    }),
    // Of records whose headers say which schema they have.
    route('GET', '/schemas/guids/{guid}', async (request) => {
      const [schema] = await withGuid(request)
      const wanted = ['schemaType', 'references', 'metadata', 'ruleSet', 'schema', 'guid']
      return json(200, picked(described(schema!), wanted))
    }),
    route('GET', '/schemas/guids/{guid}/ids', async (request) => {
      const ids = new Set((await withGuid(request)).map(({ id }) => id))
      return json(
        200,
        Array.from(ids, (id) => ({ context: '.', id })),
      )
    }),
    route('GET', '/schemas/ids/{id}/schema', async (request) =>
      plain((await withId(request))[0]!.text),
    ),
    route('GET', '/schemas/ids/{id}/subjects', async (request) => {
      const subjects = new Set(live(request, await withId(request)).map(({ subject }) => subject))
      return json(200, page(request.query, [...subjects]))
    }),
    route('GET', '/schemas/ids/{id}/versions', async (request) =>
      json(
        200,
        page(request.query, live(request, await withId(request))).map(({ subject, version }) => ({
          subject,
          version,
        })),
      ),
    ),
  ]
}

function compatibilityRoutes(registry: SchemaRegistry): Route[] {
  const check = async (request: RoutedRequest, version: number | undefined) => {
    const subject = request.parameters['subject']!
    const isVerbose = flag(request.query, 'verbose')
    const normalize = flag(request.query, 'normalize')
    let messages: readonly string[]
    try {
      await registry.catchUp()
      messages = await registry.compatibility(subject, submittedBy(request), version, { normalize })
    } catch (error) {
      // Who asks for details is told why it is no schema at all as one of them.
      const isSchema = !(error instanceof RegistryError) || error.code !== 42201
      if (!isVerbose || isSchema) throw error
      messages = [error.message]
    }
    const answer = { is_compatible: messages.length === 0 }
    return json(200, isVerbose ? { ...answer, messages } : answer)
  }
  return [
    route('POST', '/compatibility/subjects/{subject}/versions', (request) =>
      check(request, undefined),
    ),
    route('POST', '/compatibility/subjects/{subject}/versions/{version}', (request) =>
      check(request, versionNumber(request.parameters['version']!)),
    ),
  ]
}

function configRoutes(registry: SchemaRegistry): Route[] {
  const get = async ({ parameters, query }: RoutedRequest) => {
    const subject = parameters['subject'] ?? null
    if (subject === null || flag(query, 'defaultToGlobal'))
      return json(200, registry.configInScope(subject))
    const config = await fresh(registry, () => {
      const found = registry.image.config(subject)
      if (found === undefined) throw refusals.noSubjectLevel(subject)
      return found
    })
    return json(200, config)
  }
  const put = async (request: RoutedRequest) => {
    const fields = fieldsOf(request)
    const { compatibility } = fields
    if (compatibility !== undefined && typeof compatibility !== 'string')
      throw refusals.invalidLevel()
    const given = configOf({ ...fields, compatibilityLevel: compatibility })
    await registry.setConfig(request.parameters['subject'] ?? null, given)
    const { compatibilityLevel, ...rest } = given
    const level = compatibilityLevel?.toUpperCase()
    return json(200, { ...(level === undefined ? {} : { compatibility: level }), ...rest })
  }
  const remove = async ({ parameters }: RoutedRequest) =>
    json(200, await registry.deleteConfig(parameters['subject'] ?? null))
  return both('/config', get, put, remove)
}

function modeRoutes(registry: SchemaRegistry): Route[] {
  const get = async ({ parameters, query }: RoutedRequest) => {
    const subject = parameters['subject'] ?? null
    if (subject === null || flag(query, 'defaultToGlobal'))
      return json(200, { mode: registry.modeInScope(subject) })
    const mode = await fresh(registry, () => {
      const found = registry.image.mode(subject)
      if (found === undefined) throw refusals.noSubjectMode(subject)
      return found
    })
    return json(200, { mode })
  }
  const put = async (request: RoutedRequest) => {
    const { mode } = fieldsOf(request)
    if (typeof mode !== 'string') throw refusals.invalidMode()
    const isForced = flag(request.query, 'force')
    return json(200, {
      mode: await registry.setMode(request.parameters['subject'] ?? null, mode, isForced),
    })
  }
  const remove = async ({ parameters }: RoutedRequest) =>
    json(200, { mode: await registry.deleteMode(parameters['subject'] ?? null) })
  return both('/mode', get, put, remove)
}

/** For all subjects, and for one. */
function both(
  path: string,
  get: Route['handle'],
  put: Route['handle'],
  remove: Route['handle'],
): Route[] {
  return [path, `${path}/{subject}`].flatMap((each) => [
    route('GET', each, get),
    route('PUT', each, put),
    route('DELETE', each, remove),
  ])
}

/** What is not found is looked for once more after everything that others wrote was read. */
async function fresh<Found>(registry: SchemaRegistry, find: () => Found): Promise<Found> {
  try {
    return find()
  } catch (error) {
    if (!(error instanceof RegistryError) || !String(error.code).startsWith('404')) throw error
    await registry.catchUp()
    return find()
  }
}

function fieldsOf(request: RoutedRequest): Fields {
  const body = plainObject(request.json())
  if (body === null) throw new HttpError(422, 'The body of the request is a JSON object')
  return body as Fields
}

function submittedBy(request: RoutedRequest): Submitted {
  const { schema, schemaType, references, metadata, ruleSet, id, version } = fieldsOf(request)
  if (typeof schema !== 'string') throw refusals.emptySchema()
  const type = schemaType ?? 'AVRO'
  const known = referencesOf(references)
  if (typeof type !== 'string' || known === undefined)
    throw refusals.invalidSchema(
      String(schemaType ?? 'AVRO'),
      'references are a list of {"name", "subject", "version"}',
    )
  return {
    type,
    text: schema,
    references: known,
    metadata: plainObject(metadata),
    ruleSet: plainObject(ruleSet),
    id: positive(id),
    version: positive(version),
  }
}

/** As some clients send 0 or -1 where they have none. */
function positive(value: unknown): number | undefined {
  const isNumber = Number.isInteger(value) && (value as number) > 0 && (value as number) < 2 ** 31
  return isNumber ? (value as number) : undefined
}

function versionNumber(text: string): number {
  const trimmed = text.trim()
  if (trimmed.toLowerCase() === 'latest' || trimmed === '-1') return latestVersion
  const version = /^\d{1,10}$/.test(trimmed) ? Number(trimmed) : 0
  if (version < 1 || version >= 2 ** 31) throw refusals.invalidVersion(text)
  return version
}

function described(schema: StoredSchema): Fields {
  const { subject, version, id, type, references, metadata, ruleSet, text, isDeleted } = schema
  return {
    subject,
    version,
    id,
    guid: guidOf(schema),
    ...(type === 'AVRO' ? {} : { schemaType: type }),
    ...(references.length === 0 ? {} : { references }),
    ...(metadata === null ? {} : { metadata }),
    ...(ruleSet === null ? {} : { ruleSet }),
    schema: text,
    ...(isDeleted ? { deleted: true } : {}),
  }
}

function picked(fields: Fields, names: readonly string[]): Fields {
  return Object.fromEntries(
    names.filter((name) => name in fields).map((name) => [name, fields[name]]),
  )
}

/** `?key=…&value=…&key=…&value=…`: all of them are among the properties. */
function hasProperties(metadata: object | null, query: URLSearchParams): boolean {
  const properties = plainObject((metadata as Fields | null)?.['properties'])
  const values = query.getAll('value')
  return query.getAll('key').every((key, i) => (properties as Fields | null)?.[key] === values[i])
}

/** The schema itself, as it is stored. */
function plain(text: string): HttpAnswer {
  return { status: 200, contentType, body: text }
}

function flag(query: URLSearchParams, name: string): boolean {
  return query.get(name)?.toLowerCase() === 'true'
}

/** `:*:` stands for every context, of which there is one here. */
function prefixOf(query: URLSearchParams): string {
  return (query.get('subjectPrefix') ?? '').replace(/^:\*:/, '')
}

function startingWith(prefix: string): (name: string) => boolean {
  return (name) => name.startsWith(prefix)
}

function page<Item>(query: URLSearchParams, items: readonly Item[]): Item[] {
  const offset = Number(query.get('offset') ?? 0)
  const limit = Number(query.get('limit') ?? -1)
  const start = Number.isInteger(offset) && offset > 0 ? offset : 0
  return items.slice(start, Number.isInteger(limit) && limit >= 0 ? start + limit : undefined)
}
