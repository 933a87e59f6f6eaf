"""What somebody lands a topic of JSON in Delta with today, in Python: confluent-kafka reads, pyarrow parses, and delta-rs
commits rows together with how far each partition was read. Prints one line of JSON when so many records are in the table.

    python delta_consumer.py BOOTSTRAP TOPIC TABLE RECORDS COMMIT_SECONDS COMMIT_RECORDS
"""

import io
import json
import resource
import sys
import time

import pyarrow
import pyarrow.json
from confluent_kafka import Consumer
from deltalake import CommitProperties, Transaction, write_deltalake

bootstrap, topic, table = sys.argv[1:4]
records, commit_seconds, commit_records = int(sys.argv[4]), float(sys.argv[5]), int(sys.argv[6])

consumer = Consumer(
    {
        "bootstrap.servers": bootstrap,
        "group.id": f"python-{topic}",
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
        "log_level": 4,
        "fetch.message.max.bytes": 4 * 1024 * 1024,
    }
)
consumer.subscribe([topic])
started = time.monotonic()
landed = 0
values, offsets, reached = [], [], {}
since = time.monotonic()
while landed < records:
    for message in consumer.consume(10_000, 0.1):
        if message.error():
            raise RuntimeError(message.error())
        values.append(message.value())
        offsets.append(message.offset())
        reached[message.partition()] = message.offset() + 1
    is_due = time.monotonic() - since >= commit_seconds or len(values) >= commit_records
    if not values or not is_due and landed + len(values) < records:
        continue
    rows = pyarrow.json.read_json(io.BytesIO(b"\n".join(values)))
    rows = rows.append_column("kafka_offset", pyarrow.array(offsets, pyarrow.int64()))
    progress = [Transaction(f"python/{topic}/{partition}", offset) for partition, offset in reached.items()]
    write_deltalake(
        table,
        rows,
        mode="append",
        schema_mode="merge",
        commit_properties=CommitProperties(app_transactions=progress),
    )
    landed += len(values)
    values, offsets = [], []
    since = time.monotonic()
used = resource.getrusage(resource.RUSAGE_SELF)
print(
    json.dumps(
        {
            "rows": landed,
            "seconds": time.monotonic() - started,
            "cpuSeconds": used.ru_utime + used.ru_stime,
            "peakMb": used.ru_maxrss / 1024,
        }
    )
)
consumer.close()
