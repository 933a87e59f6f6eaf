/** Storage in an object store for tests, where nobody waits: pauses pass at once, and are counted. */
import { nodeHttpClient } from '../../../src/environment/node/http-client.ts'
import { NodeRandom } from '../../../src/environment/node/random.ts'
import type { ObjectWorld } from '../../../src/tables/storage/s3-client.ts'
import { s3Settings } from '../../../src/tables/storage/s3-settings.ts'
import { S3Storage } from '../../../src/tables/storage/s3-storage.ts'
import type { ObjectStore } from './object-store.ts'

export class HurriedWorld implements ObjectWorld {
  readonly random = new NodeRandom()
  readonly pauses: number[] = []
  /** Milliseconds that an answer may take. */
  answerMsMax = 5_000
  #passed = 0

  readonly clock = {
    now: () => Date.now(),
    monotonic: () => performance.now() + this.#passed,
  }

  readonly timers: ObjectWorld['timers'] = {
    after: (delayMs, callback) => {
      this.pauses.push(delayMs)
      this.#passed += delayMs
      setImmediate(callback)
      return { cancel: () => undefined }
    },
    endOfTurn: setImmediate,
    nextTurn: setImmediate,
    lineUp: setImmediate,
  }

  readonly http: ObjectWorld['http'] = (url, request) => {
    const answerMsMax = Math.min(request.answerMsMax ?? 30_000, this.answerMsMax)
    return nodeHttpClient(url, { ...request, answerMsMax })
  }
}

export function storageIn(
  store: ObjectStore,
  world: ObjectWorld,
  more: Readonly<Record<string, string>> = {},
  location = `s3://${store.bucket}/tables/t`,
): S3Storage {
  return new S3Storage(
    s3Settings(location, { ...store.variables, ...more }, () => null),
    world,
  )
}
