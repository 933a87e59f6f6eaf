/** The program of the thread in which large logs are compacted. Nothing else runs there: it may block. */
import { createNodeEnvironment } from './environment/node/environment.ts'
import { answerQuestions } from './environment/node/threads.ts'
import { compactionAnswers } from './log/compaction/threaded-passes.ts'

answerQuestions(compactionAnswers(createNodeEnvironment({ mayBlock: true })))
