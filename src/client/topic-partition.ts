/** A partition of a topic, as clients name it, and lists of them in the shape in which requests carry them. */

export interface TopicPartition {
  readonly topic: string
  readonly partition: number
}

/** `topic-partition`, as Kafka prints it. */
export function nameOf({ topic, partition }: TopicPartition): string {
  return `${topic}-${partition}`
}

/** The rows by topic, in the order in which topics first appear. */
export function byTopic<T extends TopicPartition>(rows: Iterable<T>): Map<string, T[]> {
  const topics = new Map<string, T[]>()
  for (const row of rows) {
    const list = topics.get(row.topic)
    if (list === undefined) topics.set(row.topic, [row])
    else list.push(row)
  }
  return topics
}
