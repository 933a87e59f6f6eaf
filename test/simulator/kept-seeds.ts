/**
 * Seeds that once found something, each with what it was: they run with every `npm test`. A change of the
 * scenario gives a seed another course; what it had found is looked for by the mutations since.
 */
export const keptSeeds: readonly (readonly [seed: number, found: string])[] = [
  [8, 'a flipped bit in a base offset was served as a record at another offset'],
  [9, 'a reader was given offsets that do not follow each other'],
  [51, 'a log was cut to nothing where most of it was durable'],
  [75, 'a damaged metadata log was cut, and every partition set aside as a stray'],
  [153, 'a retry after a clean stop met a producer of which only the last batch was known'],
  [114911, 'what a group had committed before a loss expired, counted from a later commit'],
  [
    121026,
    'a directory that failed during the first start was taken for a missing disk ever after',
  ],
  [20492, 'of a producer, batches in segments rolled soon after each other were not known again'],
  [
    141243,
    'a producer was forgotten whose batches retention had taken, as a later segment came back',
  ],
  [170264, 'of the simulator: a broker killed as its start ended was restarted without end'],
]
