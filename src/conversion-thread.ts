/** The program of the thread in which large sets of old clients are converted. Nothing else runs there. */
import { answerQuestions } from './environment/node/threads.ts'
import { convert } from './log/conversion/conversions.ts'

answerQuestions(convert)
