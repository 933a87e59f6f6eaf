/** An error as it goes from one thread to another: what is told of it in statuses and logs, and nothing else. Plain data. */
import { ConnectException, classNameOf, TooManyTasks } from '../failures.ts'

export interface ToldError {
  /** As statuses and headers say it. */
  readonly className: string
  readonly name: string
  readonly message: string
  readonly stack: string
  readonly cause: ToldError | null
}

const causesMax = 10

export function told(error: unknown, depth = 0): ToldError {
  const given = error instanceof Error ? error : new Error(String(error))
  const { name, message, stack = '', cause } = given
  const hasCause = cause !== undefined && cause !== null && depth < causesMax
  return {
    className: classNameOf(error instanceof Error ? error : given),
    ...{ name, message: String(message), stack: String(stack) },
    cause: hasCause ? told(cause, depth + 1) : null,
  }
}

export function untold({ className, name, message, stack, cause }: ToldError): Error {
  const options = cause === null ? {} : { cause: untold(cause) }
  const isOfConnect = className.startsWith('org.apache.kafka.connect.errors.')
  const error = isOfConnect
    ? name === new TooManyTasks('').name
      ? new TooManyTasks(message)
      : new ConnectException(message, options, name)
    : new Error(message, options)
  error.name = name
  error.stack = stack
  return error
}
