/** The connectors, transformations and predicates that every worker has. */
import { datagenSource } from './datagen/datagen-source.ts'
import { deltaSink } from './delta/delta-sink.ts'
import { deltaSource } from './delta/delta-source.ts'
import type { TablesEnvironment } from './delta/move-offsets.ts'
import { fileSink } from './file/file-sink.ts'
import { fileSource } from './file/file-source.ts'
import { httpSink } from './http/http-sink.ts'
import { httpSource } from './http/http-source.ts'
import { mirrorCheckpoint } from './mirror/mirror-checkpoint.ts'
import { mirrorHeartbeat } from './mirror/mirror-heartbeat.ts'
import { mirrorSource } from './mirror/mirror-source.ts'
import type { AnyPlugin } from './plugins.ts'
import { transformations } from './transforms/known-transforms.ts'
import { predicates } from './transforms/predicates.ts'

export function knownPlugins(environment: TablesEnvironment): AnyPlugin[] {
  return [
    deltaSink(environment),
    datagenSource,
    deltaSource(environment),
    fileSink,
    fileSource,
    httpSink,
    httpSource,
    mirrorCheckpoint,
    mirrorHeartbeat,
    mirrorSource,
    ...transformations,
    ...predicates,
  ]
}
