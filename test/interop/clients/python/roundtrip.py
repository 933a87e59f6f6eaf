"""librdkafka, by confluent-kafka: produce a file's lines, consume them in a group, administer.

usage: roundtrip.py produce|consume|admin|version BOOTSTRAP TOPIC [GROUP COUNT]
"""
import sys
import time

import confluent_kafka
from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, NewPartitions, NewTopic


def produce(bootstrap, topic):
    failures = []

    def delivered(error, _message):
        if error is not None:
            failures.append(str(error))

    producer = Producer({"bootstrap.servers": bootstrap})
    for number, line in enumerate(sys.stdin.buffer):
        while True:
            try:
                producer.produce(topic, line.rstrip(b"\n"), key=str(number), on_delivery=delivered)
                break
            except BufferError:
                producer.poll(0.1)
        producer.poll(0)
    if producer.flush(60) != 0 or failures:
        sys.exit(f"not delivered: {failures[:3]}")


def consume(bootstrap, topic, group, count):
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        }
    )
    consumer.subscribe([topic])
    seen = 0
    deadline = time.monotonic() + 60
    while seen < int(count):
        messages = consumer.consume(1000, timeout=0.2)
        if time.monotonic() > deadline:
            sys.exit(f"only {seen} records came within a minute")
        for message in messages:
            if message.error():
                sys.exit(str(message.error()))
            sys.stdout.buffer.write(message.value() + b"\n")
            seen += 1
    consumer.commit(asynchronous=False)
    consumer.close()


def admin(bootstrap, topic):
    client = AdminClient({"bootstrap.servers": bootstrap})
    for future in client.create_topics([NewTopic(topic, 3, 1)]).values():
        future.result(10)
    for future in client.create_partitions([NewPartitions(topic, 5)]).values():
        future.result(10)
    partitions = client.list_topics(topic, timeout=10).topics[topic].partitions
    assert len(partitions) == 5, partitions
    assert topic in client.list_topics(timeout=10).topics
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic, set_config={"retention.ms": "12345"})
    for future in client.alter_configs([resource]).values():
        future.result(10)
    configs = client.describe_configs([ConfigResource(ConfigResource.Type.TOPIC, topic)])
    for future in configs.values():
        assert future.result(10)["retention.ms"].value == "12345"
    client.list_consumer_groups().result(10)
    try:
        for future in client.create_topics([NewTopic(topic, 3, 1)]).values():
            future.result(10)
        sys.exit("a topic was created twice")
    except confluent_kafka.KafkaException as error:
        assert error.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS, error
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "none"})
    assert consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=10) == (0, 0)
    consumer.close()
    for future in client.delete_topics([topic]).values():
        future.result(10)


if __name__ == "__main__":
    command, arguments = sys.argv[1], sys.argv[2:]
    if command == "version":
        print(f"confluent-kafka {confluent_kafka.version()[0]}, librdkafka {confluent_kafka.libversion()[0]}")
    else:
        {"produce": produce, "consume": consume, "admin": admin}[command](*arguments)
