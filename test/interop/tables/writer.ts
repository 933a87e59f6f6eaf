/**
 * Appends to a table from a process of its own: `writer.js PATH FIRST N` makes N commits of one row each, and prints the
 * row of each once it is durable.
 */
import { writeSync } from 'node:fs'
import { createNodeEnvironment } from '../../../src/environment/node/environment.ts'
import { tableStorage } from '../../../src/table-storage.ts'
import { batchOf } from '../../../src/tables/columns/column-builder.ts'
import { readSnapshot } from '../../../src/tables/delta/snapshot.ts'
import { Transaction } from '../../../src/tables/delta/transaction.ts'

const [path = '', first = '', count = ''] = process.argv.slice(2)
const world = createNodeEnvironment()
const environment = { ...world, storage: tableStorage(path, world) }
// Timers of the environment keep nothing alive.
const awake = setInterval(() => undefined, 2 ** 30)
for (let id = Number(first); id < Number(first) + Number(count); id++) {
  const transaction = Transaction.on(environment, await readSnapshot(environment.storage))
  await transaction.append(batchOf(transaction.schema.fields, [{ id: BigInt(id) }]))
  await transaction.commit({ operation: 'WRITE', parameters: { mode: 'Append' } })
  writeSync(1, `${id}\n`)
}
clearInterval(awake)
