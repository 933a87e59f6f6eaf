"""Load by librdkafka, by confluent-kafka; one line of output per event.

usage: load.py produce bootstrap=... seconds=N rate=N bytes=N producer=ID,TOPIC,idempotent|plain,CODEC,ACKS,keyed|unkeyed ...
       load.py consume bootstrap=... seconds=N group=G topics=T,...
"""
import os
import sys
import time

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

lines = []


def flush():
    """One write for what gathered: a killed client leaves whole lines, but for the last."""
    if lines:
        data = ("\n".join(lines) + "\n").encode()
        lines.clear()
        while data:
            data = data[os.write(1, data) :]


class Latencies:
    """How long acknowledgements took, told once a second."""

    def __init__(self):
        self.second = 0
        self.values = []

    def add(self, value):
        now = int(time.time())
        if now != self.second and self.values:
            ordered = sorted(self.values)
            self.values = []
            count = len(ordered)
            middle, high = ordered[count // 2], ordered[min(count - 1, count * 99 // 100)]
            lines.append(f"latency {self.second} {count} {middle:.2f} {high:.2f} {ordered[-1]:.2f}")
        self.second = now
        self.values.append(value)


class Numbered:
    def __init__(self, bootstrap, specification, size, latencies):
        self.id, self.topic, mode, codec, acks, keyed = specification.split(",")
        self.keyed = keyed == "keyed"
        self.latencies = latencies
        self.next = 0
        self.padding = " " + (f"{self.id}-padding-" * size)[:size]
        idempotent = mode == "idempotent"
        self.producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "enable.idempotence": idempotent,
                # With several requests under way a plain producer's own retries would reorder.
                "max.in.flight.requests.per.connection": 5 if idempotent else 1,
                "compression.codec": codec,
                "acks": acks,
                "linger.ms": 5,
                "message.timeout.ms": 180000,
                "request.timeout.ms": 10000,
                "reconnect.backoff.ms": 50,
                "reconnect.backoff.max.ms": 500,
                "log_level": 0,
            }
        )

    def send(self):
        number = self.next
        sent_at = time.monotonic()

        def delivered(error, message):
            if error is not None:
                lines.append(f"fail {self.topic} {self.id} {number} {error}")
                return
            offset = message.offset() if message.offset() is not None else -1
            lines.append(f"ack {self.topic} {message.partition()} {offset} {self.id} {number}")
            self.latencies.add((time.monotonic() - sent_at) * 1000)

        key = str(number % 17) if self.keyed else None
        try:
            self.producer.produce(self.topic, f"{self.id} {number}{self.padding}", key=key, on_delivery=delivered)
        except BufferError:
            return
        self.next += 1


def produce(options):
    latencies = Latencies()
    producers = [
        Numbered(options["bootstrap"][0], text, int(options["bytes"][0]), latencies) for text in options["producer"]
    ]
    per_tick = int(options["rate"][0]) / 50
    end = time.monotonic() + int(options["seconds"][0])
    due = 0.0
    while time.monotonic() < end:
        due += per_tick
        while due >= 1:
            due -= 1
            for producer in producers:
                producer.send()
        for producer in producers:
            producer.producer.poll(0)
        flush()
        time.sleep(0.02)
    for producer in producers:
        producer.producer.flush(180)
        lines.append(f"sent {producer.topic} {producer.id} {producer.next}")
    flush()


def consume(options):
    group = options["group"][0]
    expected, uncommitted = {}, {}

    def commit():
        if not uncommitted:
            return
        try:
            consumer.commit(
                offsets=[TopicPartition(*partition, offset) for partition, offset in uncommitted.items()],
                asynchronous=False,
            )
        except KafkaException as error:
            lines.append(f"uncommitted {group} {error}")
            return
        now = int(time.time() * 1000)
        for (topic, partition), offset in uncommitted.items():
            lines.append(f"commit {group} {topic} {partition} {offset} {now}")
        uncommitted.clear()

    def forget(partitions):
        for partition in partitions:
            expected.pop((partition.topic, partition.partition), None)

    def assigned(_consumer, partitions):
        forget(partitions)

    def revoked(_consumer, partitions):
        commit()
        forget(partitions)

    def lost(_consumer, partitions):
        forget(partitions)
        for partition in partitions:
            uncommitted.pop((partition.topic, partition.partition), None)

    consumer = Consumer(
        {
            "bootstrap.servers": options["bootstrap"][0],
            "group.id": group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            # Between two kills of the broker the group has to notice that a member is gone.
            "session.timeout.ms": 2000,
            "heartbeat.interval.ms": 500,
            "reconnect.backoff.ms": 50,
            "reconnect.backoff.max.ms": 500,
            "log_level": 0,
        }
    )
    consumer.subscribe(options["topics"][0].split(","), on_assign=assigned, on_revoke=revoked, on_lost=lost)
    end = time.monotonic() + int(options["seconds"][0])
    commit_at = 0.0
    while time.monotonic() < end:
        for message in consumer.consume(500, timeout=0.2):
            if message.error():
                lines.append(f"trouble {group} {message.error()}")
                continue
            place = (message.topic(), message.partition())
            text = f"{group} {place[0]} {place[1]}"
            awaited = expected.get(place)
            if awaited is None:
                lines.append(f"from {text} {message.offset()} {int(time.time() * 1000)}")
            elif awaited != message.offset():
                lines.append(f"gap {text} {awaited} {message.offset()}")
            expected[place] = uncommitted[place] = message.offset() + 1
        if time.monotonic() > commit_at:
            commit()
            commit_at = time.monotonic() + 0.5
        flush()
    commit()
    consumer.close()
    flush()


if __name__ == "__main__":
    options = {}
    for argument in sys.argv[2:]:
        name, value = argument.split("=", 1)
        options.setdefault(name, []).append(value)
    {"produce": produce, "consume": consume}[sys.argv[1]](options)
