"""An object store that speaks S3, in memory: moto's. `server.py PORT`.

It does one request at a time, so that of two conditional puts one wins: moto looks and puts in two steps.
"""
import sys

from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import run_simple

run_simple("127.0.0.1", int(sys.argv[1]), DomainDispatcherApplication(create_backend_app))
