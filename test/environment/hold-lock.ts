/** Locks the directory in its first argument, says so, and holds it until it is killed. */
import { createNodeEnvironment } from '../../src/environment/node/environment.ts'

const { disk } = createNodeEnvironment()
try {
  disk.lock(process.argv[2] as string)
  console.log('locked')
  setInterval(() => undefined, 60_000)
} catch (error) {
  console.log((error as Error).message)
}
