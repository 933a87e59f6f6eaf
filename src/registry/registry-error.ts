/**
 * What the registry answers when it does not do as it was asked. Codes and words are the usual registry's:
 * clients decide by the code, people search for the words. The first three digits are the HTTP status.
 */
export class RegistryError extends Error {
  readonly code: number

  constructor(code: number, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'RegistryError'
    this.code = code
  }
}

const levels =
  'Valid values are none, backward, forward, full, backward_transitive, forward_transitive, and full_transitive'

export const refusals = {
  subjectNotFound: (subject: string) => new RegistryError(40401, `Subject '${subject}' not found.`),
  versionNotFound: (version: number) => new RegistryError(40402, `Version ${version} not found.`),
  schemaNotFound: (id?: number | string) =>
    new RegistryError(40403, id === undefined ? 'Schema not found' : `Schema ${id} not found`),
  subjectSoftDeleted: (subject: string) =>
    new RegistryError(
      40404,
      `Subject '${subject}' was soft deleted.Set permanent=true to delete permanently`,
    ),
  subjectNotSoftDeleted: (subject: string) =>
    new RegistryError(
      40405,
      `Subject '${subject}' was not deleted first before being permanently deleted`,
    ),
  versionSoftDeleted: (subject: string, version: number) =>
    new RegistryError(
      40406,
      `Subject '${subject}' Version ${version} was soft deleted.Set permanent=true to delete permanently`,
    ),
  versionNotSoftDeleted: (subject: string, version: number) =>
    new RegistryError(
      40407,
      `Subject '${subject}' Version ${version} was not deleted first before being permanently deleted`,
    ),
  noSubjectLevel: (subject: string) =>
    new RegistryError(
      40408,
      `Subject '${subject}' does not have subject-level compatibility configured`,
    ),
  noSubjectMode: (subject: string) =>
    new RegistryError(40409, `Subject '${subject}' does not have subject-level mode configured`),
  incompatible: (subject: string, messages: readonly string[], type: string) =>
    new RegistryError(
      409,
      `Schema being registered is incompatible with an earlier schema for subject "${subject}", details: [${messages.join(', ')}] of type ${type}`,
    ),
  invalidSchema: (type: string, why: string) =>
    new RegistryError(42201, `Invalid schema of type ${type}, details: ${why}`),
  emptySchema: () => new RegistryError(42201, 'Empty schema'),
  invalidVersion: (version: string) =>
    new RegistryError(
      42202,
      `The specified version '${version}' is not a valid version id. Allowed values are between [1, 2^31-1] and the string "latest"`,
    ),
  invalidLevel: () => new RegistryError(42203, `Invalid compatibility level. ${levels}`),
  invalidMode: () =>
    new RegistryError(
      42204,
      'Invalid mode. Valid values are READWRITE, READONLY, IMPORT and FORWARD.',
    ),
  notPermitted: (why: string) => new RegistryError(42205, why),
  referenced: (subject: string, version: number) =>
    new RegistryError(
      42206,
      `One or more references exist to the schema {magic=1,keytype=SCHEMA,subject=${subject},version=${version}}.`,
    ),
  idTaken: (id: number) =>
    new RegistryError(42207, `Overwrite new schema with id ${id} is not permitted.`),
  invalidSubject: (subject: string) =>
    new RegistryError(42208, `The specified subject '${subject}' is not a valid.`),
  tooLarge: () => new RegistryError(42209, 'Register operation failed because schema is too large'),
  store: (what: string, cause: unknown) =>
    new RegistryError(
      50001,
      `Register operation failed while writing to the Kafka store: ${what}`,
      {
        cause,
      },
    ),
  timedOut: (cause: unknown) =>
    new RegistryError(50002, 'Operation timed out: the Kafka store does not answer', { cause }),
} as const
