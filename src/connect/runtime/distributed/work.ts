/** What a worker may have to run: connectors, by name, and tasks, as `name-number`. */
export interface Work {
  readonly connectors: ReadonlySet<string>
  readonly tasks: ReadonlySet<string>
}

export const noWork: Work = { connectors: new Set(), tasks: new Set() }

export interface TaskName {
  readonly connector: string
  readonly task: number
}

export function taskName(connector: string, task: number): string {
  return `${connector}-${task}`
}

export function parseTaskName(name: string): TaskName {
  const at = name.lastIndexOf('-')
  return { connector: name.slice(0, at), task: Number(name.slice(at + 1)) }
}

export function isEmpty({ connectors, tasks }: Work): boolean {
  return connectors.size === 0 && tasks.size === 0
}

/** All that is in one of them. */
export function union(...all: readonly Work[]): Work {
  return {
    connectors: new Set(all.flatMap(({ connectors }) => [...connectors])),
    tasks: new Set(all.flatMap(({ tasks }) => [...tasks])),
  }
}

/** What is in none of the others. */
export function without(work: Work, ...others: readonly Work[]): Work {
  const gone = union(...others)
  return filtered(work, {
    connector: (name) => !gone.connectors.has(name),
    task: (name) => !gone.tasks.has(name),
  })
}

/** What is in both. */
export function common(left: Work, right: Work): Work {
  return filtered(left, {
    connector: (name) => right.connectors.has(name),
    task: (name) => right.tasks.has(name),
  })
}

function filtered(
  { connectors, tasks }: Work,
  is: { connector: (name: string) => boolean; task: (name: string) => boolean },
): Work {
  return {
    connectors: new Set([...connectors].filter(is.connector)),
    tasks: new Set([...tasks].filter(is.task)),
  }
}

/** Tasks by connector and number, so that all workers come to the same order. */
export function inOrder(names: Iterable<string>): string[] {
  return [...names].sort((left, right) => {
    const [a, b] = [parseTaskName(left), parseTaskName(right)]
    if (a.connector !== b.connector) return a.connector < b.connector ? -1 : 1
    return a.task - b.task
  })
}
