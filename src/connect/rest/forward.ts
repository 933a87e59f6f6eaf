/**
 * Requests that another worker has to answer: they are passed on as they came, with a note of how often
 * (`forward`): first to the leader, and by that one to whoever runs what it is about, and no further.
 */
import type { Environment } from '../../environment/environment.ts'
import { type HttpAnswer, HttpError, type HttpRequest } from '../../http/routes.ts'

/** `url`: the worker's, with a slash at its end; null: nobody knows it. Rejects with HttpError 409, 500. */
export async function forward(
  { http }: Environment,
  url: string | null,
  request: HttpRequest,
): Promise<HttpAnswer> {
  const query = new URLSearchParams(request.query)
  const hop = query.get('forward')
  if (hop === 'false')
    throw new HttpError(
      409,
      'Cannot complete request because of a conflicting operation (e.g. worker rebalance)',
    )
  if (url === null || http === undefined)
    throw new HttpError(
      409,
      'Cannot complete request momentarily due to no known leader URL, likely because a rebalance was underway.',
    )
  query.set('forward', String(hop === null))
  const at = `${url.replace(/\/$/, '')}${request.path}?${query}`
  const { method, body, contentType, headers } = request
  try {
    const answer = await http(at, {
      method,
      headers: { ...headers, ...(contentType === '' ? {} : { 'Content-Type': contentType }) },
      ...(body === null ? {} : { body }),
    })
    const { status } = answer
    return { status, contentType: 'application/json', body: answer.body.toString() }
  } catch (cause) {
    throw new HttpError(
      500,
      `IO Error trying to forward REST request: ${(cause as Error).message}`,
      {
        cause,
      },
    )
  }
}
