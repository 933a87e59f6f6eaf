"""Rewrites small files of a Delta table once, with delta-rs: python optimize.py TABLE"""

import sys

from deltalake import DeltaTable, WriterProperties

# Its own choice is zstd, which Node reads from 22.15 on.
DeltaTable(sys.argv[1]).optimize.compact(writer_properties=WriterProperties(compression="SNAPPY"))
