"""Reads the files of a table with pyarrow or DuckDB, or writes its rows again with pyarrow: the bound for what Parquet
can cost. Prints one line of JSON.

    python table_scan.py pyarrow | duckdb | write FILES full | filtered [COLUMN FROM TO]

FILES: a file with the names of the table's files, one a line.
"""

import json
import resource
import sys
import tempfile
import time

library, files, kind = sys.argv[1:4]
with open(files, encoding="utf-8") as listed:
    names = listed.read().splitlines()


def with_pyarrow():
    import pyarrow.compute
    import pyarrow.dataset

    condition = None
    if kind == "filtered":
        column, start, end = sys.argv[4], int(sys.argv[5]), int(sys.argv[6])
        field = pyarrow.compute.field(column)
        condition = (field >= start) & (field < end)
    return sum(batch.num_rows for batch in pyarrow.dataset.dataset(names).to_batches(filter=condition))


def with_duckdb():
    import duckdb

    where = ""
    if kind == "filtered":
        where = f"WHERE {sys.argv[4]} >= {sys.argv[5]} AND {sys.argv[4]} < {sys.argv[6]}"
    query = f"SELECT * FROM read_parquet({names!r}, union_by_name=true) {where}"
    rows = 0
    for batch in duckdb.sql(query).to_arrow_reader():
        rows += batch.num_rows
    return rows


def write():
    import pyarrow.dataset
    import pyarrow.parquet

    global started, before
    rows = pyarrow.dataset.dataset(names).to_table()
    before, started = cpu(), time.monotonic()
    with tempfile.NamedTemporaryFile() as target:
        pyarrow.parquet.write_table(rows, target.name)
    return rows.num_rows


def cpu():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


before, started = 0, time.monotonic()
rows = {"pyarrow": with_pyarrow, "duckdb": with_duckdb, "write": write}[library]()
print(
    json.dumps(
        {
            "rows": rows,
            "seconds": time.monotonic() - started,
            "cpuSeconds": cpu() - before,
            "peakMb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        }
    )
)
