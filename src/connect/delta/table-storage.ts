/** Settings of whoever reads or writes a table in an object store, and what they say of it. */
import { oneOf, password, string } from '../../config/definition.ts'
import type { Variables } from '../../tables/storage/s3-settings.ts'
import { key, type ParsedConfig } from '../config-def.ts'

export const storageKeys = {
  'table.storage.endpoint': key(
    string(''),
    'MEDIUM',
    'Address of the object store of a table at s3://…, as http://minio:9000. What is not said here and below of it is as AWS_ENDPOINT_URL, AWS_REGION, AWS_ACCESS_KEY_ID, … of the worker say, or the profile that they name.',
  ),
  'table.storage.region': key(string(''), 'MEDIUM', 'Region of the bucket.'),
  'table.storage.access.key.id': key(string(''), 'MEDIUM', 'Who asks the object store.'),
  'table.storage.secret.access.key': key(
    password(),
    'MEDIUM',
    'The secret that belongs to table.storage.access.key.id.',
  ),
  'table.storage.session.token': key(
    password(),
    'LOW',
    'The token of credentials that are good for some time only.',
  ),
  'table.storage.virtual.hosted': key(
    string('', oneOf('', 'true', 'false')),
    'LOW',
    "Whether the bucket is a part of the host's name: true unless an endpoint is given.",
  ),
}

/** Of an object store; what is not said is as everywhere in this process. */
export function storageVariables(config: ParsedConfig<typeof storageKeys>): Variables {
  const accessKeyId = config['table.storage.access.key.id']
  const given = {
    AWS_ENDPOINT_URL_S3: config['table.storage.endpoint'],
    AWS_REGION: config['table.storage.region'],
    AWS_VIRTUAL_HOSTED_STYLE_REQUEST: config['table.storage.virtual.hosted'],
  }
  const said = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== ''))
  if (accessKeyId === '') return said
  return {
    ...said,
    AWS_ACCESS_KEY_ID: accessKeyId,
    AWS_SECRET_ACCESS_KEY: config['table.storage.secret.access.key'] ?? '',
    // Not that of somebody else.
    AWS_SESSION_TOKEN: config['table.storage.session.token'] ?? '',
  }
}
