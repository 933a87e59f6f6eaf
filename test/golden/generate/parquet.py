"""Writes test/golden/parquet: small files by pyarrow and DuckDB, and their rows as JSON lines.

    python3 -m venv venv && venv/bin/pip install pyarrow duckdb && venv/bin/python parquet.py

The lines are printed from the values that the files were made of, not from what a reader made of them.
"""
import base64
import datetime
import json
import math
import os
import uuid
from decimal import Decimal, getcontext

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

target = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'parquet')
os.makedirs(target, exist_ok=True)


def iso(value, zone):
    return value.strftime('%Y-%m-%dT%H:%M:%S.%f').rjust(26, '0') + zone


def text(value, kind):
    """One value as JSON, by its Arrow type."""
    t = pa.types
    if value is None:
        return 'null'
    if t.is_boolean(kind):
        return 'true' if value else 'false'
    if t.is_integer(kind):
        return str(value)
    if t.is_floating(kind):
        if math.isnan(value) or math.isinf(value):
            return '"NaN"' if math.isnan(value) else '"Infinity"' if value > 0 else '"-Infinity"'
        return str(int(value)) if value == int(value) else repr(value)
    if t.is_decimal(kind):
        return format(value, 'f')
    if t.is_string(kind):
        return json.dumps(value, ensure_ascii=False)
    if t.is_binary(kind) or t.is_fixed_size_binary(kind):
        return '"' + base64.b64encode(value).decode() + '"'
    if t.is_date(kind):
        return '"' + value.isoformat() + '"'
    if t.is_time(kind):
        return '"' + value.strftime('%H:%M:%S.%f') + '"'
    if t.is_timestamp(kind):
        return '"' + iso(value, 'Z' if kind.tz else '') + '"'
    if t.is_map(kind):
        return '{' + ','.join(json.dumps(k) + ':' + text(v, kind.item_type) for k, v in value) + '}'
    if t.is_list(kind):
        return '[' + ','.join(text(one, kind.value_type) for one in value) + ']'
    if t.is_struct(kind):
        return '{' + ','.join(json.dumps(f.name) + ':' + text(value[f.name], f.type) for f in kind) + '}'
    if kind == pa.uuid():
        return '"' + str(uuid.UUID(bytes=value)) + '"'
    raise Exception(kind)


def write(name, schema, rows, **options):
    names = [f.name for f in schema]
    arrays = []
    for i, field in enumerate(schema):
        column = [row[i] for row in rows]
        if field.type == pa.uuid():
            arrays.append(pa.ExtensionArray.from_storage(pa.uuid(), pa.array(column, pa.binary(16))))
        else:
            arrays.append(pa.array(column, field.type))
    table = pa.Table.from_arrays(arrays, schema=schema)
    pq.write_table(table, os.path.join(target, name + '.parquet'), **options)
    lines(name, schema, rows)


def lines(name, schema, rows):
    # Files of the same rows share them.
    with open(os.path.join(target, name.split('-')[0] + '.jsonl'), 'w') as out:
        for row in rows:
            cells = (json.dumps(f.name) + ':' + text(row[i], f.type) for i, f in enumerate(schema))
            out.write('{' + ','.join(cells) + '}\n')


seed = 7


def random(bound):
    global seed
    seed = (seed * 6364136223846793005 + 1442695040888963407) % 2**64
    return (seed >> 33) % bound


def maybe(value):
    return None if random(5) == 0 else value


getcontext().prec = 50
epoch = datetime.datetime(1970, 1, 1)


def moment():
    return epoch + datetime.timedelta(microseconds=random(2**31) * 1_000_003 - 2**50)


every_type = pa.schema([
    pa.field('id', pa.int64(), nullable=False),
    ('flag', pa.bool_()), ('i8', pa.int8()), ('i16', pa.int16()), ('i32', pa.int32()), ('i64', pa.int64()),
    ('u8', pa.uint8()), ('u16', pa.uint16()), ('u32', pa.uint32()), ('u64', pa.uint64()),
    ('f16', pa.float16()), ('f32', pa.float32()), ('f64', pa.float64()),
    ('d5', pa.decimal128(5, 2)), ('d15', pa.decimal128(15, 4)), ('d38', pa.decimal128(38, 10)),
    ('text', pa.string()), ('bytes', pa.binary()), ('fixed', pa.binary(5)), ('uuid', pa.uuid()),
    ('date', pa.date32()), ('t_ms', pa.time32('ms')), ('t_us', pa.time64('us')),
    ('ts_ms', pa.timestamp('ms', 'UTC')), ('ts_us', pa.timestamp('us', 'UTC')), ('ntz', pa.timestamp('us')),
])


def every_row(i):
    ms = moment().replace(microsecond=random(1000) * 1000)
    values = [
        random(2) == 1, random(256) - 128, random(65536) - 32768, random(2**31) * 2 - 2**31,
        random(2**31) * 2**32 * (1 if random(2) else -1) + random(2**31),
        random(256), random(65536), random(2**31) * 2 + 1, random(2**31) * 2**33 + 7,
        (random(2000) - 1000) / 8, [1.5, -0.25, math.inf, -math.inf, math.nan, 1024.0][random(6)],
        [0.1, 1e15 + 0.5, -1 / 3, math.nan, 5e-324 * 2**60, 2.5][random(6)],
        Decimal(random(99999) - 50000).scaleb(-2), Decimal(random(2**31) * 1000 - 2**40).scaleb(-4),
        Decimal((random(2**31) * 10**26 + random(2**31)) * (1 if random(2) else -1)).scaleb(-10),
        ['', 'plain', 'gr\u00fc\u00df', '\U0001f40e \u2713', 'a\n"b"'][random(5)] + 'x' * random(4),
        bytes(random(256) for _ in range(random(9))), bytes(random(256) for _ in range(5)),
        bytes(random(256) for _ in range(16)),
        datetime.date(1970, 1, 1) + datetime.timedelta(days=random(200000) - 100000),
        datetime.time(random(24), random(60), random(60), random(1000) * 1000),
        datetime.time(random(24), random(60), random(60), random(1000000)),
        ms, moment(), moment(),
    ]
    return [i] + [maybe(value) for value in values]


rows = [every_row(i) for i in range(60)]
for name, options in {
    'types-plain-v1': dict(use_dictionary=False, compression='none'),
    'types-dictionary-v1': dict(compression='snappy', data_page_size=256, write_page_checksum=True),
    'types-v2': dict(compression='gzip', data_page_version='2.0', data_page_size=256, row_group_size=25),
    'types-lz4': dict(compression='lz4', write_page_index=True, data_page_size=512),
    'types-brotli': dict(compression='brotli', data_page_version='2.0'),
}.items():
    write(name, every_type, rows, **options)

numbers = pa.schema([('i32', pa.int32()), ('i64', pa.int64()), ('f32', pa.float32()), ('f64', pa.float64()),
                     ('text', pa.string()), ('fixed', pa.binary(4)), ('flag', pa.bool_())])


def number_row(i):
    return [
        i * 3 - 50 if random(9) else random(2**31) * 2 - 2**31,
        i * 1_000_000_007 if random(9) else random(2**31) * 2**32 * (1 if random(2) else -1),
        i / 4, i * 0.1, f'key-{i // 7:05d}-{i % 7}', i.to_bytes(4, 'big'), i % 11 < 5,
    ]


rows = [[maybe(v) for v in number_row(i)] for i in range(300)]
for name, encodings in {
    'delta': ['DELTA_BINARY_PACKED', 'DELTA_BINARY_PACKED', 'BYTE_STREAM_SPLIT', 'BYTE_STREAM_SPLIT',
              'DELTA_BYTE_ARRAY', 'DELTA_BYTE_ARRAY', 'RLE'],
    'split': ['BYTE_STREAM_SPLIT', 'BYTE_STREAM_SPLIT', 'PLAIN', 'PLAIN', 'DELTA_LENGTH_BYTE_ARRAY',
              'BYTE_STREAM_SPLIT', 'PLAIN'],
}.items():
    write('encodings-' + name, numbers, rows, use_dictionary=False, compression='none', data_page_size=400,
          column_encoding=dict(zip(numbers.names, encodings)))

point = pa.struct([('x', pa.int32()), ('label', pa.string())])
nested = pa.schema([
    ('list', pa.list_(pa.int32())), ('struct', point), ('map', pa.map_(pa.string(), pa.int64())),
    ('lists', pa.list_(pa.list_(pa.string()))), ('points', pa.list_(point)),
    ('deep', pa.struct([('a', pa.struct([('b', pa.list_(pa.struct([('c', pa.list_(pa.int64()))])))]))])),
    ('map_of_lists', pa.map_(pa.string(), pa.list_(pa.float64()))),
])


def some(make, most=4):
    return [make() for _ in range(random(most))]


def a_point():
    return maybe({'x': maybe(random(100)), 'label': maybe('p' + str(random(9)))})


def nested_row():
    deep = {'a': maybe({'b': maybe(some(lambda: maybe({'c': maybe(some(lambda: maybe(random(9))))})))})}
    return [maybe(v) for v in [
        some(lambda: maybe(random(1000))), {'x': maybe(random(100)), 'label': maybe('s' + str(random(9)))},
        [(f'k{j}', maybe(random(50))) for j in range(random(4))],
        some(lambda: maybe(some(lambda: maybe('t' + str(random(9)))))), some(a_point), deep,
        [(f'k{j}', maybe(some(lambda: random(8) / 2))) for j in range(random(3))],
    ]]


rows = [nested_row() for _ in range(120)]
write('nested-v1', nested, rows, compression='snappy', data_page_size=128)
write('nested-v2', nested, rows, compression='none', data_page_version='2.0', use_dictionary=False, row_group_size=50)
write('empty', nested, [], compression='none')
write('nulls', pa.schema([('a', pa.int32()), ('b', pa.string()), ('c', pa.list_(pa.int32()))]),
      [[None, None, None]] * 40)

wide = pa.schema([('n', pa.int64()), ('at', pa.timestamp('us', 'UTC'))])
rows = [[i, epoch + datetime.timedelta(microseconds=i * 86_400_000_007 - 10**14)] for i in range(30)]
pq.write_table(pa.table({'n': [r[0] for r in rows], 'at': pa.array([r[1] for r in rows], pa.timestamp('us', 'UTC'))}),
               os.path.join(target, 'int96.parquet'), use_deprecated_int96_timestamps=True)
lines('int96', wide, rows)

duckdb.sql(f"""copy (select i::int as i, 'name ' || (i % 5) as name, [i, i + 1] as list, {{'a': i, 'b': i / 2.0}} as s
  from range(50) t(i)) to '{target}/duckdb.parquet' (format parquet, compression snappy)""")
lines('duckdb', pa.schema([('i', pa.int32()), ('name', pa.string()), ('list', pa.list_(pa.int64())),
                           ('s', pa.struct([('a', pa.int64()), ('b', pa.float64())]))]),
      [[i, f'name {i % 5}', [i, i + 1], {'a': i, 'b': i / 2}] for i in range(50)])
