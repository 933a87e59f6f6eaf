/**
 * What must be so: where it is not there is a bug, and the process is to end. Node's own `assert` says more of
 * what it has found, and takes 2 ms of every start to be loaded.
 */
export function assert(condition: unknown, message = 'a bug'): asserts condition {
  if (!condition) throw new Error(message)
}
