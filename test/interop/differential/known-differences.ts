/**
 * Where the two answer differently and are meant to: Apache Kafka's answer is an accident of the Java
 * behind it, or of what it holds and we do not. Each rule is about some APIs and versions, about requests
 * that have something in common, and about the fields and values that then differ; each has its reason,
 * which a run prints, and a run tells of the rules that it had no use for.
 */

export interface KnownDifference {
  /** Names of APIs as in `apis`. */
  readonly apis: readonly string[]
  /** The first and the last; all where left out. */
  readonly versions?: readonly [number, number]
  /** Whether it is about this request; about any where left out. */
  readonly isAbout?: (request: object) => boolean
  /** Each line that only our answer has, and each that only Kafka's has, matches; there may be none. */
  readonly ours: RegExp
  readonly kafka: RegExp
  readonly reason: string
}

const nobody = /^\(no answer\)$/
const closed = /^\(connection closed\)$/
const nothing = /^$/
const text = (pattern: RegExp) => (request: object) => pattern.test(JSON.stringify(request))

/** Lines of a field, as `.topics[].errorCode`, with one of these values. */
function field(path: string, values: string): RegExp {
  const escaped = path.replace(/[.[\]]/g, '\\$&').replaceAll('\\[\\]', '\\[.*?\\]')
  return new RegExp(`^${escaped}: (${values})$`)
}

const either = (...patterns: readonly RegExp[]) =>
  new RegExp(patterns.map(({ source }) => `(${source})`).join('|'))

const anyCode = '[A-Z_]+'
const anyValue = '.*'
const produced = '.responses[].partitionResponses[].errorCode'
const fetched = '.responses[].partitions[].errorCode'
const added = '.resultsByTransaction[].topicResults[].resultsByPartition[].partitionErrorCode'
const described = '.groups[].topics[].partitions[].errorCode'

export const knownDifferences: readonly KnownDifference[] = [
  {
    apis: ['produce'],
    isAbout: text(/"records":null/),
    ours: field(produced, anyCode),
    kafka: nobody,
    reason: 'Kafka falls over null records again while it makes its answer, and sends none',
  },
  {
    apis: ['produce'],
    isAbout: text(/"acks":(2|-2)/),
    ours: field(produced, 'INVALID_REQUIRED_ACKS'),
    kafka: field(produced, anyCode),
    reason: 'Kafka looks at topics and records first, and at acks then; nothing is written',
  },
  {
    apis: ['produce'],
    isAbout: namesTwice,
    ours: either(
      field(produced, anyCode),
      field('.responses[].partitionResponses[].baseOffset', '\\d+'),
    ),
    kafka: either(
      field(produced, anyCode),
      field('.responses[].partitionResponses[].baseOffset', '\\d+'),
    ),
    reason: 'of a partition that is named twice Kafka writes the last records only; we write both',
  },
  {
    apis: ['produce'],
    versions: [3, 6],
    isAbout: text(/"unknown codec"/),
    ours: field(produced, anyCode),
    kafka: field(produced, 'UNKNOWN_SERVER_ERROR'),
    reason:
      'a codec that nobody knows is an exception of Java to Kafka, for all partitions of the request',
  },
  {
    apis: ['fetch'],
    isAbout: text(/"isolationLevel":(2|-1)/),
    ours: either(
      field('.errorCode', 'INVALID_REQUEST'),
      field(fetched, 'INVALID_REQUEST'),
      field('.responses[].topic', anyValue),
    ),
    kafka: either(
      field('.errorCode', 'UNKNOWN_SERVER_ERROR|NONE|(INVALID_)?FETCH_SESSION_[A-Z_]+'),
      field(fetched, 'UNKNOWN_SERVER_ERROR|UNKNOWN_TOPIC_OR_PARTITION|UNKNOWN_TOPIC_ID'),
    ),
    reason:
      'an unknown isolation level is an exception of Java to Kafka once it reads a partition, and ' +
      'invalid to us',
  },
  {
    apis: ['listOffsets'],
    isAbout: text(/"isolationLevel":(2|-1)/),
    ours: field('.topics[].partitions[].errorCode', 'INVALID_REQUEST'),
    kafka: field('.topics[].partitions[].errorCode', 'UNKNOWN_SERVER_ERROR'),
    reason: 'an unknown isolation level is an exception of Java to Kafka, and invalid to us',
  },
  {
    apis: ['fetch'],
    isAbout: text(/"(partitionMaxBytes|maxBytes)":-/),
    ours: field(fetched, 'NONE'),
    kafka: field(fetched, 'UNKNOWN_SERVER_ERROR'),
    reason: 'a negative size is an exception of Java to Kafka, and no bytes to us',
  },
  {
    apis: ['fetch'],
    versions: [13, 18],
    isAbout: text(/"topics":\[.*"topicId":"A{22}","partitions":\[\{.*"forgottenTopicsData"/),
    ours: either(field('.errorCode', 'NONE'), field(fetched, anyCode)),
    kafka: field('.errorCode', 'UNKNOWN_SERVER_ERROR'),
    reason: 'a partition of the topic id that is zero has no name by which Kafka could keep it',
  },
  {
    apis: ['joinGroup'],
    isAbout: (request) => namesTwice(request) && !isOfNewStyle(request),
    ours: either(field('.errorCode', 'NONE'), field('.protocolName', 'range|roundrobin')),
    kafka: either(
      nobody,
      field('.errorCode', 'INCONSISTENT_GROUP_PROTOCOL'),
      field('.protocolName', 'range|roundrobin'),
    ),
    reason:
      'a protocol named twice is counted twice by Kafka, which then finds no protocol; we count once',
  },
  {
    apis: ['joinGroup'],
    isAbout: isOfNewStyle,
    ours: field('.errorCode', 'INCONSISTENT_GROUP_PROTOCOL'),
    kafka: field('.errorCode', 'UNKNOWN_SERVER_ERROR'),
    reason: 'a subscription that cannot be read is an IllegalStateException to Kafka',
  },
  {
    apis: ['offsetFetch'],
    versions: [9, 10],
    isAbout: text(/"memberId":null,"memberEpoch":[^-]/),
    ours: field('.groups[].errorCode', 'UNKNOWN_MEMBER_ID'),
    kafka: field('.groups[].errorCode', 'UNKNOWN_SERVER_ERROR'),
    reason: 'Kafka looks for the member that is null',
  },
  {
    apis: ['offsetFetch'],
    versions: [8, 10],
    isAbout: namesTwice,
    ours: nothing,
    kafka: either(
      field('.groups[].topics[].partitions[].errorCode', anyCode),
      field('.groups[].topics[].name', anyValue),
    ),
    reason: 'a group that is named again is answered once, since what it has may be long',
  },
  {
    apis: ['offsetForLeaderEpoch'],
    isAbout: text(/"leaderEpoch":-2/),
    ours: either(
      field('.topics[].partitions[].leaderEpoch', '-1'),
      field('.topics[].partitions[].endOffset', '-1'),
    ),
    kafka: either(
      field('.topics[].partitions[].leaderEpoch', '-2'),
      field('.topics[].partitions[].endOffset', '0'),
    ),
    reason: 'an epoch below -1 is one before all others to Kafka, and none to us',
  },
  {
    apis: ['addPartitionsToTxn'],
    versions: [4, 5],
    isAbout: text(/"transactions":\[\],/),
    ours: field('.errorCode', 'NONE'),
    kafka: nobody,
    reason:
      'Kafka answers after the last transaction of a request, and so never where there is none',
  },
  {
    apis: ['addPartitionsToTxn'],
    versions: [4, 5],
    isAbout: namesTwice,
    ours: either(
      field(added, anyCode),
      field('.resultsByTransaction[].topicResults[].name', anyValue),
    ),
    kafka: either(
      nobody,
      field(added, anyCode),
      field('.resultsByTransaction[].topicResults[].name', anyValue),
    ),
    reason: 'of transactions, topics and partitions that are named twice Kafka keeps one',
  },
  {
    apis: ['writeTxnMarkers'],
    isAbout: namesTwice,
    ours: field('.markers[].topics[].partitions[].errorCode', anyCode),
    kafka: nobody,
    reason:
      'Kafka waits for as many partitions as are named, and hears of each once: it never answers',
  },
  {
    apis: ['deleteRecords'],
    isAbout: namesTwice,
    ours: either(
      field('.topics[].partitions[].errorCode', anyCode),
      field('.topics[].partitions[].lowWatermark', '-?\\d+'),
    ),
    kafka: either(
      field('.topics[].partitions[].errorCode', anyCode),
      field('.topics[].partitions[].lowWatermark', '-?\\d+'),
    ),
    reason:
      'of a partition that is named twice Kafka takes the last offset only; we delete up to both',
  },
  {
    apis: ['alterConfigs', 'incrementalAlterConfigs'],
    isAbout: namesTwice,
    ours: field('.responses[].errorCode', 'INVALID_REQUEST'),
    kafka: nobody,
    reason: 'a resource that is named twice is an exception to Kafka while it makes its answer',
  },
  {
    apis: ['incrementalAlterConfigs'],
    isAbout: text(/"configOperation":(-1|4)/),
    ours: field('.responses[].errorCode', anyCode),
    kafka: field('.responses[].errorCode', 'UNKNOWN_SERVER_ERROR'),
    reason:
      'an operation that nobody knows is an exception of Java to Kafka, for all of the request',
  },
  {
    apis: ['updateFeatures'],
    isAbout: namesTwice,
    ours: field('.errorCode', 'INVALID_UPDATE_VERSION'),
    kafka: either(field('.errorCode', 'NONE'), field('.results[].errorCode', 'NONE')),
    reason: 'of a feature that is named twice Kafka looks at the last level only; we look at both',
  },
  {
    apis: ['alterUserScramCredentials'],
    isAbout: text(/"saltedPassword":\{"type":"Buffer","data":\[\]\}/),
    ours: field('.results[].errorCode', 'UNACCEPTABLE_CREDENTIAL'),
    kafka: field('.results[].errorCode', 'UNKNOWN_SERVER_ERROR'),
    reason: 'an empty salted password is an exception of Java to Kafka',
  },
  {
    apis: ['describeAcls'],
    ours: field('.errorCode', 'SECURITY_DISABLED'),
    kafka: closed,
    reason: 'Kafka takes a request with an unknown type or operation for one that cannot be read',
  },
  {
    apis: ['createAcls', 'deleteAcls'],
    ours: field('.(results|filterResults)[].errorCode', 'SECURITY_DISABLED'),
    kafka: closed,
    reason: 'Kafka takes a request with an unknown type or operation for one that cannot be read',
  },
  {
    apis: ['describeShareGroupOffsets'],
    isAbout: text(
      /"partitions":\[[^\]]*(-1|99|2147483647)|"topicName":"(missing|x{300}|bad name!|\.\.|)"/,
    ),
    ours: either(field('.groups[].errorCode', 'NONE'), field(described, anyCode)),
    kafka: either(nobody, field('.groups[].errorCode', 'UNKNOWN_SERVER_ERROR')),
    reason:
      'a partition that is not there is an exception of Java to Kafka, or the end of its answer',
  },
  {
    apis: ['describeShareGroupOffsets'],
    isAbout: namesTwice,
    ours: either(field('.groups[].errorCode', 'NONE'), field(described, anyCode)),
    kafka: either(nobody, field('.groups[].errorCode', 'UNKNOWN_SERVER_ERROR')),
    reason:
      'a group or topic that is named twice is an exception of Java to Kafka, or the end of its answer',
  },
  {
    apis: ['alterShareGroupOffsets'],
    isAbout: text(/"partitionIndex":-1/),
    ours: either(
      field('.errorCode', 'NONE'),
      field('.responses[].partitions[].errorCode', 'NONE|UNKNOWN_TOPIC_OR_PARTITION'),
    ),
    kafka: field('.errorCode', 'UNKNOWN_SERVER_ERROR'),
    reason: 'a negative partition is an exception of Java to Kafka',
  },
  {
    apis: ['shareFetch'],
    isAbout: text(/"shareSessionEpoch":-1,.*"partitionIndex":(-1|99|2147483647)/),
    ours: nothing,
    kafka: either(
      field('.responses[].partitions[].acknowledgeErrorCode', 'UNKNOWN_TOPIC_OR_PARTITION'),
      field('.responses[].partitions[].errorCode', 'NONE'),
    ),
    reason:
      'as a share session ends Kafka tells of partitions that are not there, though nothing of them ' +
      'was to be acknowledged',
  },
  {
    apis: ['apiVersions'],
    ours: either(
      field('.apiKeys[(18|42|88|89)].maxVersion', '[1-9]'),
      field('.apiKeys[].minVersion', '0'),
    ),
    kafka: either(
      field('.apiKeys[(18|42|88|89)].maxVersion', '[0-9]'),
      field('.apiKeys[].minVersion', '[1-9]\\d*'),
      field('.apiKeys[(17|36)].(apiKey|minVersion|maxVersion)', '\\d+'),
      field('.supportedFeatures[kraft.version].(name|minVersion|maxVersion)', anyValue),
    ),
    reason:
      'SASL and kraft.version are not served yet; other APIs also in versions that Kafka 4 dropped, and ' +
      'four in those that came with 4.4',
  },
]

function isOfNewStyle(request: object): boolean {
  return /"groupId":"new-style"/.test(JSON.stringify(request))
}

/** The fields that say what an element of a request is about. */
const names = [
  ...['name', 'topic', 'topicId', 'partitionIndex', 'partition', 'index', 'groupId'],
  ...['producerId', 'resourceName', 'resourceType', 'feature', 'topicName'],
]

/** Whether something in a list of the request stands there twice, or is about the same. */
function namesTwice(request: unknown): boolean {
  if (typeof request !== 'object' || request === null || Buffer.isBuffer(request)) return false
  if (!Array.isArray(request)) return Object.values(request).some(namesTwice)
  const identities = request.map((element: unknown) => {
    if (typeof element !== 'object' || element === null) return JSON.stringify(element)
    const fields = element as Readonly<Record<string, unknown>>
    if (fields.transactionalId !== undefined) return JSON.stringify(fields.transactionalId)
    return JSON.stringify(names.map((name) => fields[name]))
  })
  return new Set(identities).size < identities.length || request.some(namesTwice)
}

interface Asked {
  readonly api: string
  readonly version: number
  readonly request: object
}

/** What is known about the difference; undefined where nobody knows. */
export function knownDifference(
  { api, version, request }: Asked,
  { mine, other }: { readonly mine: readonly string[]; readonly other: readonly string[] },
): KnownDifference | undefined {
  return knownDifferences.find(
    ({ apis, versions: [first, last] = [0, Number.POSITIVE_INFINITY], isAbout, ours, kafka }) =>
      apis.includes(api) &&
      version >= first &&
      version <= last &&
      (isAbout?.(request) ?? true) &&
      isMatchedBy(ours, mine) &&
      isMatchedBy(kafka, other),
  )
}

function isMatchedBy(pattern: RegExp, lines: readonly string[]): boolean {
  return lines.every((line) => pattern.test(line))
}
