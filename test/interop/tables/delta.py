"""delta-rs as the other party: reads tables as lines of JSON, and writes some.

    delta.py version
    delta.py read PATH            rows, a JSON object a line, in the forms of `millrace tables read`
    delta.py write PATH KIND      a table of a kind named in KINDS
    delta.py merge PATH           odd ids up to 39 updated or inserted
    delta.py append PATH FIRST N  N commits of one row each, ids from FIRST on
    delta.py changes PATH A B     what versions A to B changed, as `millrace tables changes`
    delta.py unpack FROM TO       archives of golden tables
    delta.py rows PATH            rows of a directory of Parquet files, as read
"""
import base64
import datetime
import decimal
import io
import json
import math
import pathlib
import re
import struct
import sys
import tarfile

import deltalake
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import CommitProperties, DeltaTable, QueryBuilder, WriterProperties, write_deltalake

# Node before 22.15 reads no zstd, which some of its operations write by default.
SNAPPY = WriterProperties(compression="SNAPPY")


def printed(row, kinds):
    """Decimals come as marked text, which loses its quotes here: json would round them."""
    row = {name: shown(value, kinds[name]) for name, value in row.items()}
    text = json.dumps(row, ensure_ascii=False, separators=(",", ":"))
    print(re.sub(r'"\\u0000(-?[\d.]+)"', r"\1", text))


def shown(value, kind):
    if value is None:
        return None
    if pa.types.is_dictionary(kind):
        return shown(value, kind.value_type)
    if pa.types.is_decimal(kind):
        return "\0" + format(value, "f")
    if pa.types.is_floating(kind):
        if math.isnan(value):
            return "NaN"
        if math.isinf(value):
            return "Infinity" if value > 0 else "-Infinity"
        return shortest(value) if pa.types.is_float32(kind) else value
    if pa.types.is_timestamp(kind):
        value = value.astimezone(datetime.timezone.utc) if value.tzinfo else value
        return value.strftime("%Y-%m-%dT%H:%M:%S.%f") + ("Z" if kind.tz else "")
    if pa.types.is_date(kind):
        return value.isoformat()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if pa.types.is_struct(kind):
        return {field.name: shown(value[field.name], field.type) for field in kind}
    if pa.types.is_map(kind):
        if pa.types.is_string(kind.key_type):
            return {k: shown(v, kind.item_type) for k, v in value}
        pairs = [(shown(k, kind.key_type), shown(v, kind.item_type)) for k, v in value]
        return [{"key": k, "value": v} for k, v in pairs]
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or hasattr(kind, "value_type"):
        return [shown(one, kind.value_type) for one in value]
    return value


def shortest(single):
    """A float of four bytes, in as few digits as tell it from its neighbours."""
    texts = (f"{single:.{digits}g}" for digits in range(1, 10))
    return next(float(text) for text in texts if as_single(text) == single)


def as_single(text):
    return struct.unpack("f", struct.pack("f", float(text)))[0]


def read(path):
    table = DeltaTable(path)
    result = QueryBuilder().register("t", table).execute("select * from t")
    print_rows(pa.table(result))


def print_rows(rows):
    kinds = {field.name: field.type for field in rows.schema}
    for batch in rows.to_batches(1000):
        for row in batch.to_pylist():
            printed(row, kinds)


def utc(*args):
    return datetime.datetime(*args, tzinfo=datetime.timezone.utc)


def rich(first, count):
    numbers = range(first, first + count)
    columns = {
        "id": pa.array(numbers, pa.int64()),
        "i8": pa.array([n % 100 - 50 for n in numbers], pa.int8()),
        "i16": pa.array([n * 7 for n in numbers], pa.int16()),
        "i32": pa.array([None if n % 5 == 0 else -n for n in numbers], pa.int32()),
        "f": pa.array([n / 4 for n in numbers], pa.float32()),
        "d": pa.array([math.nan if n % 7 == 0 else n * 0.1 for n in numbers], pa.float64()),
        "b": pa.array([None if n % 3 == 0 else n % 2 == 0 for n in numbers]),
        "s": pa.array(["n" * (n % 50) + "ü\U0001f600" for n in numbers]),
        "bytes": pa.array([bytes([n % 256, 255]) for n in numbers], pa.binary()),
        "day": pa.array([datetime.date(1, 1, 1) + datetime.timedelta(n) for n in numbers]),
        "at": pa.array(
            [utc(1969, 12, 31, 23, 59, 59, n % 1000) for n in numbers], pa.timestamp("us", "UTC")
        ),
        "price": pa.array([decimal.Decimal(n) / 100 for n in numbers], pa.decimal128(12, 2)),
        "wide": pa.array([decimal.Decimal(10**30 + n) for n in numbers], pa.decimal128(38, 0)),
        "xs": pa.array([[1, None] * (n % 3) for n in numbers], pa.list_(pa.int32())),
        "m": pa.array([[("k", n)] for n in numbers], pa.map_(pa.string(), pa.int64())),
        "o": pa.array(
            [None if n % 4 == 0 else {"x": n, "y": [str(n)]} for n in numbers],
            pa.struct([("x", pa.int64()), ("y", pa.list_(pa.string()))]),
        ),
    }
    return pa.table(columns)


def partitioned(first, count):
    numbers = range(first, first + count)
    return pa.table(
        {
            "id": pa.array(numbers, pa.int64()),
            "p": [None if n % 4 == 0 else ["a/b", "x y", "Zürich"][n % 3] for n in numbers],
            "day": [datetime.date(2024, 2, 28 + n % 2) for n in numbers],
        }
    )


def write(path, kind):
    if kind == "rich":
        for first in range(0, 3000, 1000):
            write_deltalake(path, rich(first, 1000), mode="append")
    elif kind == "partitioned":
        for first in range(0, 60, 20):
            rows = partitioned(first, 20)
            write_deltalake(path, rows, mode="append", partition_by=["p", "day"])
        DeltaTable(path).delete("id % 5 = 1", writer_properties=SNAPPY)
        DeltaTable(path).optimize.compact(writer_properties=SNAPPY)
    elif kind == "checkpointed":
        for n in range(12):
            write_deltalake(path, partitioned(n * 10, 10), mode="append")
        DeltaTable(path).create_checkpoint()
        write_deltalake(path, partitioned(120, 10), mode="append")
    elif kind == "feed":
        configuration = {"delta.enableChangeDataFeed": "true"}
        write_deltalake(path, partitioned(0, 20), configuration=configuration)
        table = DeltaTable(path)
        table.update({"p": "'changed'"}, predicate="id < 5", writer_properties=SNAPPY)
        table.delete("id > 15", writer_properties=SNAPPY)
        write_deltalake(path, partitioned(20, 5), mode="append")


def merge(path):
    rows = pa.table({"id": pa.array(range(1, 40, 2), pa.int64()), "p": ["odd"] * 20})
    merger = DeltaTable(path).merge(
        rows, "t.id = s.id", source_alias="s", target_alias="t", writer_properties=SNAPPY
    )
    merger = merger.when_matched_update({"p": "s.p"})
    merger.when_not_matched_insert({"id": "s.id", "p": "s.p"}).execute()


def append(path, first, count):
    for n in range(int(first), int(first) + int(count)):
        rows = pa.table({"id": pa.array([n], pa.int64())})
        # As patient as our writers are: 15 lost races, after which it gives up by itself, are few among five.
        patient = CommitProperties(max_commit_retries=200)
        write_deltalake(path, rows, mode="append", commit_properties=patient)


def changes(path, first, last):
    feed = DeltaTable(path).load_cdf(starting_version=int(first), ending_version=int(last))
    rows = pa.table(feed.read_all())
    kinds = {field.name: field.type for field in rows.schema}
    for row in rows.drop_columns(["_commit_timestamp"]).to_pylist():
        printed(row, kinds)


def unpack(archives, directory):
    for archive in sorted(pathlib.Path(archives).glob("*.tar.zst")):
        with pa.input_stream(str(archive), compression="zstd") as stream:
            tarfile.open(fileobj=io.BytesIO(stream.read())).extractall(directory, filter="data")


def rows(path):
    for file in sorted(pathlib.Path(path).rglob("[!._]*.parquet")):
        print_rows(pq.read_table(file, partitioning=None, coerce_int96_timestamp_unit="us"))


command, *arguments = sys.argv[1:]
if command == "version":
    print("deltalake", deltalake.__version__)
else:
    commands = [read, write, append, changes, merge, unpack, rows]
    {command.__name__: command for command in commands}[command](*arguments)
