"""Rewrites small files of a Delta table once, with delta-rs, and prints how many it has put together: python optimize.py TABLE"""

import sys

from deltalake import DeltaTable, WriterProperties

try:
    # Its own choice is zstd, which Node reads from 22.15 on.
    done = DeltaTable(sys.argv[1]).optimize.compact(writer_properties=WriterProperties(compression="SNAPPY"))
    print(done["numFilesRemoved"])
except Exception as error:
    sys.exit(f"{type(error).__name__}: {error}")
