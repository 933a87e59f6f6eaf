/**
 * Where the two answer differently and are meant to: Apache Kafka's answer is an accident of the Java
 * behind it, or of what it holds and we do not. Each has its reason, which a run prints.
 */

export interface KnownDifference {
  /** Names of APIs as in `apis`; all where left out. */
  readonly apis?: readonly string[]
  /** Whether it is about this request; about any where left out. */
  readonly isAbout?: (request: object) => boolean
  /** Each line that only our answer has, and each that only Kafka's has, matches; there may be none. */
  readonly ours: RegExp
  readonly kafka: RegExp
  readonly reason: string
}

const anything = /^/
const nobody = /^\((no answer|connection closed)\)$/
const text = (pattern: RegExp) => (request: object) => pattern.test(JSON.stringify(request))

export const knownDifferences: readonly KnownDifference[] = [
  {
    apis: ['produce'],
    isAbout: text(/"records":null/),
    ours: anything,
    kafka: nobody,
    reason: 'Kafka falls over null records again while it makes its answer, and sends none',
  },
  {
    apis: ['produce'],
    isAbout: namesTwice,
    ours: anything,
    kafka: anything,
    reason: 'of a partition that is named twice Kafka writes the last records only; we write both',
  },
  {
    apis: ['fetch', 'listOffsets'],
    isAbout: text(/"isolationLevel":(2|-1)/),
    ours: anything,
    kafka: anything,
    reason: 'an unknown isolation level is an exception of Java to Kafka, and invalid to us',
  },
  {
    apis: ['fetch'],
    isAbout: text(/"(partitionMaxBytes|maxBytes)":-/),
    ours: anything,
    kafka: /: UNKNOWN_SERVER_ERROR$/,
    reason: 'a negative size is an exception of Java to Kafka, and no bytes to us',
  },
  {
    apis: ['produce'],
    isAbout: text(/"acks":(2|-2)/),
    ours: /: INVALID_REQUIRED_ACKS$/,
    kafka: /partitionResponses/,
    reason: 'Kafka looks at topics and records first, and at acks then; nothing is written',
  },
  {
    apis: ['joinGroup'],
    isAbout: namesTwice,
    ours: anything,
    kafka: anything,
    reason:
      'a protocol named twice is counted twice by Kafka, which then finds no protocol; we count once',
  },
  {
    apis: ['joinGroup'],
    isAbout: text(/"groupId":"new-style"/),
    ours: /INCONSISTENT_GROUP_PROTOCOL$/,
    kafka: /UNKNOWN_SERVER_ERROR$/,
    reason: 'a subscription that cannot be read is an IllegalStateException to Kafka',
  },
  {
    apis: ['offsetFetch'],
    isAbout: text(/"memberId":null,"memberEpoch":[^-]/),
    ours: /UNKNOWN_MEMBER_ID$/,
    kafka: /UNKNOWN_SERVER_ERROR$/,
    reason: 'Kafka looks for the member that is null',
  },
  {
    apis: ['offsetFetch'],
    isAbout: namesTwice,
    ours: /^$/,
    kafka: anything,
    reason: 'a group that is named again is answered once, since what it has may be long',
  },
  {
    apis: ['offsetForLeaderEpoch'],
    isAbout: text(/"leaderEpoch":-2/),
    ours: /: -1$/,
    kafka: /: (-2|0)$/,
    reason: 'an epoch below -1 is one before all others to Kafka, and none to us',
  },
  {
    apis: ['addPartitionsToTxn'],
    isAbout: text(/"transactions":\[\],.*"v3AndBelowTransactionalId":""/),
    ours: /NONE$/,
    kafka: nobody,
    reason:
      'Kafka answers after the last transaction of a request, and so never where there is none',
  },
  {
    apis: [
      ...['addPartitionsToTxn', 'writeTxnMarkers', 'deleteRecords', 'alterConfigs'],
      ...['incrementalAlterConfigs', 'updateFeatures'],
    ],
    isAbout: namesTwice,
    ours: anything,
    kafka: anything,
    reason:
      'Kafka keeps what a request names in maps: what is named twice is lost or left unanswered',
  },
  {
    apis: ['describeAcls', 'createAcls', 'deleteAcls'],
    ours: /SECURITY_DISABLED$/,
    kafka: nobody,
    reason: 'Kafka takes a request with an unknown type or operation for one that cannot be read',
  },
  {
    apis: ['apiVersions'],
    ours: /^\.apiKeys\[\d+\]\.(min|max)Version: /,
    kafka: /^\.apiKeys\[((17|36)\]|\d+\]\.(min|max)Version: )/,
    reason:
      'SASL is not served yet; other APIs also in older versions, and ApiVersions in a newer one',
  },
]

/** The fields that say what an element of a request is about. */
const names = [
  ...['name', 'topic', 'topicId', 'partitionIndex', 'partition', 'index', 'groupId'],
  ...['transactionalId', 'producerId', 'resourceName', 'resourceType', 'feature'],
]

/** Whether something in a list of the request stands there twice, or is about the same. */
function namesTwice(request: unknown): boolean {
  if (typeof request !== 'object' || request === null || Buffer.isBuffer(request)) return false
  if (!Array.isArray(request)) return Object.values(request).some(namesTwice)
  const identities = request.map((element: unknown) => {
    if (typeof element !== 'object' || element === null) return JSON.stringify(element)
    const fields = element as Readonly<Record<string, unknown>>
    return JSON.stringify(names.map((name) => fields[name]))
  })
  return new Set(identities).size < identities.length || request.some(namesTwice)
}

/** Why it is as it is; null where nobody knows. */
export function reasonOf(
  api: string,
  request: object,
  { mine, other }: { readonly mine: readonly string[]; readonly other: readonly string[] },
): string | null {
  const found = knownDifferences.find(
    (known) =>
      (known.apis?.includes(api) ?? true) &&
      (known.isAbout?.(request) ?? true) &&
      isMatchedBy(known.ours, mine) &&
      isMatchedBy(known.kafka, other),
  )
  return found?.reason ?? null
}

function isMatchedBy(pattern: RegExp, lines: readonly string[]): boolean {
  return lines.every((line) => pattern.test(line))
}
