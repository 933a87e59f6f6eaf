"""Rewrites small files of a Delta table once, with delta-rs: python optimize.py TABLE"""

import sys

from deltalake import DeltaTable

DeltaTable(sys.argv[1]).optimize.compact()
