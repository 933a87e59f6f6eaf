/**
 * The ways in which `npm run mutate` breaks the product, by the part of it that each is in;
 * `test/mutations.test.ts` sees to it that all still apply.
 */
import { acknowledgements, memory, producers } from './mutations/appends.ts'
import { coordination, transactions } from './mutations/coordinators.ts'
import type { Mutation } from './mutations/mutation.ts'
import { compaction, deletion, reads, recovery } from './mutations/stored-logs.ts'

export const mutations: readonly Mutation[] = [
  ...acknowledgements,
  ...producers,
  ...memory,
  ...reads,
  ...recovery,
  ...deletion,
  ...compaction,
  ...coordination,
  ...transactions,
]
