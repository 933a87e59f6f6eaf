/** Tables that Spark makes for the exchange, one of each feature, as its statements; `$t` stands for the table. */

/** Columns of every type, `COUNT` rows from `FIRST` on. */
const columns = [
  'id',
  'cast(id % 7 AS int) i',
  'id % 2 = 0 bool',
  'cast(id % 100 AS tinyint) small',
  'cast(id AS smallint) short',
  'id * 1.5D d',
  'cast(id AS float) / 3 f',
  'cast(id * 0.01 AS decimal(20, 4)) price',
  "concat('näme ', id) s",
  'cast(cast(id AS string) AS binary) bin',
  "date_add(DATE '1582-10-01', cast(id * 37 AS int)) day",
  'timestamp_micros(id * 1000003 - 62135596800000000 + id * 1000000000000) at',
  'array(id, NULL, id + 1) list',
  "map('k', id, 'z', NULL) m",
  "named_struct('a', id, 'b', array(named_struct('c', cast(id AS string)))) o",
]
const rows = (first: number, count: number) =>
  `SELECT ${columns.join(', ')} FROM range(${first}, ${first + count})`

const create = (count: number, ...properties: string[]) =>
  `CREATE TABLE $t USING delta TBLPROPERTIES (${properties.map((text) => `'${text.replace('=', "' = '")}'`).join(', ')}) AS ${rows(0, count)}`

const insert = (first: number, count: number) => `INSERT INTO $t ${rows(first, count)}`
const tenInserts = Array.from({ length: 10 }, (_, i) => insert(50 + i * 10, 10))

export const theirTables: Readonly<Record<string, readonly string[]>> = {
  plain: [
    `CREATE TABLE $t USING delta AS ${rows(0, 500)}`,
    insert(500, 100),
    'DELETE FROM $t WHERE id % 10 = 3',
    "UPDATE $t SET s = 'changed' WHERE id BETWEEN 20 AND 30",
  ],
  partitioned: [
    `CREATE TABLE $t USING delta PARTITIONED BY (i, bool) AS ${rows(0, 300)}`,
    'DELETE FROM $t WHERE id = 5',
  ],
  'odd-partitions': [
    'CREATE TABLE $t (id bigint, p string, q timestamp, r date, u double, w decimal(10, 3)) USING delta PARTITIONED BY (p, q, r, u, w)',
    "INSERT INTO $t VALUES (1, 'a/b=c %é', TIMESTAMP '2020-01-01 00:00:00.5', DATE '2020-01-01', 1.5D, 2.125), " +
      '(2, cast(NULL AS string), NULL, NULL, NULL, NULL), ' +
      "(3, '', TIMESTAMP '1900-01-01 00:00:00', DATE '0001-01-01', double('nan'), -1.5)",
  ],
  'mapped-by-name': [
    create(100, 'delta.columnMapping.mode=name'),
    'ALTER TABLE $t RENAME COLUMN s TO `s p,;{}()=`',
    'ALTER TABLE $t DROP COLUMN f',
    'ALTER TABLE $t RENAME COLUMN o.a TO aa',
  ],
  'mapped-by-id': [
    create(100, 'delta.columnMapping.mode=id'),
    'ALTER TABLE $t RENAME COLUMN o.b TO bb',
  ],
  'deletion-vectors': [
    create(1000, 'delta.enableDeletionVectors=true'),
    'DELETE FROM $t WHERE id % 3 = 1',
    'DELETE FROM $t WHERE id % 5 = 2',
  ],
  feed: [
    create(100, 'delta.enableChangeDataFeed=true'),
    'UPDATE $t SET d = 0 WHERE id < 10',
    'DELETE FROM $t WHERE id > 90',
    `MERGE INTO $t t USING (${rows(85, 25)}) u ON t.id = u.id WHEN MATCHED THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT *`,
  ],
  'new-checkpoints': [
    create(50, 'delta.checkpointPolicy=v2', 'delta.checkpointInterval=3'),
    ...tenInserts,
  ],
  'structured-checkpoints': [
    create(
      50,
      'delta.checkpointInterval=3',
      'delta.checkpoint.writeStatsAsStruct=true',
      'delta.checkpoint.writeStatsAsJson=false',
    ),
    ...tenInserts,
  ],
  'without-zone': [
    'CREATE TABLE $t (id bigint, t timestamp_ntz) USING delta',
    "INSERT INTO $t VALUES (1, TIMESTAMP_NTZ '2020-01-01 00:00:00.123456'), (2, TIMESTAMP_NTZ '0001-01-01 00:00:00'), (3, NULL)",
  ],
  widened: [
    "CREATE TABLE $t (id int, x tinyint, y float, z decimal(5, 2)) USING delta TBLPROPERTIES ('delta.enableTypeWidening' = 'true')",
    'INSERT INTO $t VALUES (1, 1, 1.5, 1.25), (2, 2, 2.5, 2.50)',
    'ALTER TABLE $t ALTER COLUMN id TYPE bigint',
    'ALTER TABLE $t ALTER COLUMN x TYPE int',
    'ALTER TABLE $t ALTER COLUMN y TYPE double',
    'ALTER TABLE $t ALTER COLUMN z TYPE decimal(12, 4)',
    'INSERT INTO $t VALUES (3000000000, 70000, 1e300, 12345678.1234)',
  ],
  evolved: [
    'CREATE TABLE $t (id bigint) USING delta',
    'INSERT INTO $t VALUES (1)',
    'ALTER TABLE $t ADD COLUMNS (a string, b struct<x: int, y: array<double>>)',
    "INSERT INTO $t VALUES (2, 'z', named_struct('x', 1, 'y', array(double('nan'), double('inf'))))",
  ],
  defaults: [
    "CREATE TABLE $t (id bigint, v string DEFAULT 'none', n int DEFAULT 7) USING delta TBLPROPERTIES ('delta.feature.allowColumnDefaults' = 'supported')",
    'INSERT INTO $t (id) VALUES (1)',
  ],
  constraints: [
    'CREATE TABLE $t (id bigint NOT NULL, v string) USING delta',
    'ALTER TABLE $t ADD CONSTRAINT positive CHECK (id > 0)',
    "INSERT INTO $t VALUES (1, 'a'), (2, 'b')",
  ],
  clustered: [
    'CREATE TABLE $t (id bigint, v string) USING delta CLUSTER BY (id)',
    'INSERT INTO $t SELECT id, cast(id AS string) FROM range(100)',
    'OPTIMIZE $t',
  ],
  'row-tracking': [create(50, 'delta.enableRowTracking=true'), 'UPDATE $t SET i = 9 WHERE id < 5'],
  'commit-timestamps': [create(20, 'delta.enableInCommitTimestamps=true'), insert(20, 10)],
  'z-order': [`CREATE TABLE $t USING delta AS ${rows(0, 300)}`, 'OPTIMIZE $t ZORDER BY (id, s)'],
  restored: [
    `CREATE TABLE $t USING delta AS ${rows(0, 300)}`,
    'DELETE FROM $t WHERE id < 200',
    'RESTORE TABLE $t TO VERSION AS OF 0',
  ],
  empty: ['CREATE TABLE $t (id bigint, s string) USING delta'],
}
