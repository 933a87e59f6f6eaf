"""What delta-rs finds in a table that records landed in: for each partition, as a list in a line of JSON, its number, how
many rows there are, of how many offsets, and the last of these: python offsets.py TABLE"""

import json
import sys

from deltalake import DeltaTable, QueryBuilder

counted = "SELECT p, count(*), count(DISTINCT o), max(o) FROM landed GROUP BY p ORDER BY p"
found = QueryBuilder().register("landed", DeltaTable(sys.argv[1])).execute(counted).read_all()
for row in zip(*(column.to_pylist() for column in found.columns)):
    print(json.dumps(row))
