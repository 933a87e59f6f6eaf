"""The official serializers of confluent-kafka against a broker and its schema registry.

usage: serializers.py BOOTSTRAP REGISTRY_URL TABLES DELTA_PYTHON

TABLES is the directory of the tables of topics; DELTA_PYTHON a Python with the package deltalake, which reads them.
Prints `ok NAME` for each check and `skip NAME: WHY` for what cannot be done here, and ends with 0, or with a trace
where something is not as it should be.
"""
import datetime
import decimal
import json as json_module
import os
import subprocess
import sys
import time
import uuid

from confluent_kafka import DeserializingConsumer, SerializingProducer
from confluent_kafka.admin import AdminClient, NewTopic
from confluent_kafka.schema_registry import (
    Schema,
    SchemaReference,
    SchemaRegistryClient,
    record_subject_name_strategy,
)
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.schema_registry.json_schema import JSONDeserializer, JSONSerializer
from confluent_kafka.serialization import StringDeserializer, StringSerializer

bootstrap, url, tables_directory, delta_python = sys.argv[1:5]
run = uuid.uuid4().hex[:8]
records = 1000


def client():
    """A new one each time: they cache."""
    return SchemaRegistryClient({"url": url})


def done(name):
    print(f"ok {name}", flush=True)


def refused(code, call):
    try:
        call()
    except SchemaRegistryError as error:
        assert error.error_code == code, (code, error.error_code, error)
        return error
    raise AssertionError(f"not refused with {code}")


def exchange(topic, values, serializer, deserializer, key=("plain", "plain")):
    """Produces and consumes; what comes out is what went in."""
    failures = []
    producer = SerializingProducer(
        {
            "bootstrap.servers": bootstrap,
            "key.serializer": StringSerializer() if key[0] == "plain" else key[0],
            "value.serializer": serializer,
        }
    )
    for index, value in enumerate(values):
        producer.produce(
            topic,
            key=str(index),
            value=value,
            on_delivery=lambda error, _: failures.append(error) if error else None,
        )
        producer.poll(0)
    assert producer.flush(60) == 0 and not failures, failures[:3]
    consumer = DeserializingConsumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": f"{topic}-{uuid.uuid4()}",
            "auto.offset.reset": "earliest",
            "key.deserializer": StringDeserializer() if key[1] == "plain" else key[1],
            "value.deserializer": deserializer,
        }
    )
    consumer.subscribe([topic])
    found = {}
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        message = consumer.poll(0.1)
        if message is None:
            continue
        assert message.error() is None, message.error()
        found[int(message.key())] = message.value()
        if len(found) == len(values):
            break
    consumer.close()
    for index, value in enumerate(values):
        assert found.get(index) == value, (found.get(index), value)


order = """{
  "type": "record", "name": "Order", "namespace": "shop",
  "fields": [
    {"name": "id", "type": "long"},
    {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2}},
    {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
    {"name": "day", "type": {"type": "int", "logicalType": "date"}},
    {"name": "state", "type": {"type": "enum", "name": "State", "symbols": ["NEW", "PAID"]}},
    {"name": "note", "type": ["null", "string"], "default": null},
    {"name": "tags", "type": {"type": "map", "values": {"type": "array", "items": "string"}}}
  ]
}"""


def orders():
    start = datetime.datetime(2026, 1, 31, 10, tzinfo=datetime.timezone.utc)
    return [
        {
            "id": 2**53 + index,
            "price": decimal.Decimal(-index).scaleb(-2),
            "at": start + datetime.timedelta(seconds=index),
            "day": start.date() + datetime.timedelta(days=index),
            "state": "PAID" if index % 2 else "NEW",
            "note": None if index % 3 else f"Nr. {index} \u00fc",
            "tags": {"a": [str(index)] * (index % 4)},
        }
        for index in range(records)
    ]


def avro():
    topic = f"orders-{run}"
    serializer = AvroSerializer(client(), order)
    key = (AvroSerializer(client(), '"string"'), AvroDeserializer(client()))
    exchange(topic, orders(), serializer, AvroDeserializer(client()), key)
    assert client().get_versions(f"{topic}-value") == [1]
    assert client().get_latest_version(f"{topic}-key").schema.schema_str == '"string"'
    done(f"avro: {records} records, keys too")

    evolved = order.replace('{"name": "tags"', '{"name": "more", "type": "int", "default": 7}, {"name": "tags"')
    subject = f"{topic}-value"
    assert client().test_compatibility(subject, Schema(evolved, "AVRO"))
    client().register_schema(subject, Schema(evolved, "AVRO"))
    assert client().get_versions(subject) == [1, 2]
    # Who has the new schema reads what was written with the old one.
    consumer = DeserializingConsumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": f"evolved-{run}",
            "auto.offset.reset": "earliest",
            "key.deserializer": AvroDeserializer(client()),
            "value.deserializer": AvroDeserializer(client(), evolved),
        }
    )
    consumer.subscribe([topic])
    message = None
    while message is None:
        message = consumer.poll(1)
    assert message.value()["more"] == 7
    consumer.close()
    done("avro: a schema evolves, and reads what came before")

    wrong = order.replace('{"name": "tags"', '{"name": "more", "type": "string"}, {"name": "tags"')
    assert not client().test_compatibility(subject, Schema(wrong, "AVRO"))
    error = refused(409, lambda: client().register_schema(subject, Schema(wrong, "AVRO")))
    assert "READER_FIELD_MISSING_DEFAULT_VALUE" in str(error) or "TYPE_MISMATCH" in str(error), error
    refused(42201, lambda: client().register_schema(subject, Schema('{"type": "nonsense"}', "AVRO")))
    done("avro: what does not fit is refused")


def options():
    topic = f"options-{run}"
    latest = client()
    latest.register_schema(f"{topic}-value", Schema(order, "AVRO"))
    how = {"auto.register.schemas": False, "use.latest.version": True}
    exchange(topic, orders()[:10], AvroSerializer(latest, None, conf=how), AvroDeserializer(client()))
    done("avro: use.latest.version")
    spaced = order.replace('"namespace": "shop",', '"namespace": "shop", "doc": "",')
    how = {"normalize.schemas": True, "subject.name.strategy": record_subject_name_strategy}
    exchange(f"{topic}-2", orders()[:10], AvroSerializer(client(), spaced, conf=how), AvroDeserializer(client()))
    assert "shop.Order" in client().get_subjects()
    done("avro: normalize.schemas, RecordNameStrategy")


def references():
    address = '{"type": "record", "name": "Address", "namespace": "shop", "fields": [{"name": "street", "type": "string"}]}'
    person = '{"type": "record", "name": "Person", "namespace": "shop", "fields": [{"name": "home", "type": "shop.Address"}]}'
    subject = f"address-{run}"
    client().register_schema(subject, Schema(address, "AVRO"))
    schema = Schema(person, "AVRO", [SchemaReference("shop.Address", subject, 1)])
    values = [{"home": {"street": f"{index} Road"}} for index in range(10)]
    exchange(f"persons-{run}", values, AvroSerializer(client(), schema), AvroDeserializer(client()))
    refused(42206, lambda: client().delete_version(subject, 1))
    done("avro: references")


def json():
    topic = f"json-{run}"
    schema = """{
      "$schema": "http://json-schema.org/draft-07/schema#", "title": "User", "type": "object",
      "properties": {"name": {"type": "string"}, "age": {"type": "integer", "minimum": 0}},
      "required": ["name"], "additionalProperties": false
    }"""
    values = [{"name": f"n{index}", "age": index} for index in range(records)]
    exchange(topic, values, JSONSerializer(schema, client()), JSONDeserializer(schema))
    subject = f"{topic}-value"
    wider = schema.replace('"minimum": 0}', '"minimum": 0}, "email": {"type": "string"}')
    client().register_schema(subject, Schema(wider, "JSON"))
    narrower = schema.replace('"minimum": 0', '"minimum": 1')
    error = refused(409, lambda: client().register_schema(subject, Schema(narrower, "JSON")))
    assert "MINIMUM_INCREASED" in str(error), error
    done(f"json schema: {records} records, evolution")


def administration():
    admin = client()
    subject = f"admin-{run}"
    registered = admin.register_schema(subject, Schema('"int"', "AVRO"))
    assert admin.get_schema(registered).schema_str == '"int"'
    assert admin.lookup_schema(subject, Schema('"int"', "AVRO")).version == 1
    refused(40403, lambda: client().lookup_schema(subject, Schema('"bytes"', "AVRO")))
    refused(40401, lambda: client().get_versions(f"nothing-{run}"))
    refused(40402, lambda: client().get_version(subject, 9))
    assert admin.set_compatibility(subject_name=subject, level="NONE")["compatibility"] == "NONE"
    assert admin.get_compatibility(subject_name=subject) == "NONE"
    admin.register_schema(subject, Schema('"string"', "AVRO"))
    assert admin.delete_version(subject, 1) == 1
    assert admin.delete_subject(subject) == [2]
    assert admin.delete_subject(subject, permanent=True) == [1, 2]
    refused(40401, lambda: client().get_versions(subject))
    done("administration")


reader = """
import json, sys
from deltalake import DeltaTable
table = DeltaTable(sys.argv[1])
schema = {field.name: json.loads(field.to_json())["type"] for field in table.schema().fields}
rows = table.to_pyarrow_table().to_pylist()
print(json.dumps({"schema": schema, "rows": rows}, default=str))
"""


def table(topic, count):
    """Schema and rows, as delta-rs reads them, once there are so many."""
    place = os.path.join(tables_directory, topic)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if os.path.exists(os.path.join(place, "_delta_log")):
            ran = subprocess.run([delta_python, "-c", reader, place], capture_output=True, text=True)
            assert ran.returncode == 0, ran.stderr
            found = json_module.loads(ran.stdout)
            if len(found["rows"]) >= count:
                assert len(found["rows"]) == count, found["rows"]
                return found
        time.sleep(0.5)
    raise AssertionError(f"no {count} rows in {place}")


def make_table(topic, **settings):
    config = {"table.enable": "true", "table.commit.interval.ms": "200"}
    config.update({f"table.{name.replace('_', '.')}": value for name, value in settings.items()})
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for made in admin.create_topics([NewTopic(topic, 3, 1, config=config)]).values():
        made.result()


def produced(topic, values, value_serializer, key_serializer=None):
    producer = SerializingProducer(
        {"bootstrap.servers": bootstrap, "value.serializer": value_serializer, "key.serializer": key_serializer}
    )
    for key, value in values:
        producer.produce(topic, key=key, value=value)
    assert producer.flush(60) == 0


def tables_avro():
    topic = f"orders-table-{run}"
    make_table(topic, schema="registry")
    fields = json_module.loads(order)
    fields["fields"] += [
        {"name": "micros", "type": ["null", {"type": "long", "logicalType": "timestamp-micros"}], "default": None},
        {"name": "local", "type": ["null", {"type": "long", "logicalType": "local-timestamp-micros"}], "default": None},
        {"name": "maybe", "type": ["null", "int", "string"], "default": None},
        {"name": "uuid", "type": {"type": "string", "logicalType": "uuid"}, "default": ""},
        {"name": "nested", "type": {"type": "record", "name": "Nested", "fields": [{"name": "x", "type": "float"}]}},
    ]
    first = json_module.dumps(fields)
    micros = datetime.datetime(2026, 1, 31, 10, 0, 0, 123456)
    values = [
        {
            **each,
            "micros": micros.replace(tzinfo=datetime.timezone.utc),
            "local": micros,
            "maybe": [None, 7, "text"][index % 3],
            "uuid": str(uuid.UUID(int=index)),
            "nested": {"x": 0.5},
        }
        for index, each in enumerate(orders())
    ]
    produced(topic, [(None, value) for value in values], AvroSerializer(client(), first))
    fields["fields"].append({"name": "channel", "type": "string", "default": "web"})
    wider = AvroSerializer(client(), json_module.dumps(fields))
    produced(topic, [(None, {**values[0], "id": 1, "channel": "shop"})], wider)
    found = table(topic, records + 1)
    types = {name: kind for name, kind in found["schema"].items() if not name.startswith("kafka_")}
    assert types.pop("nested")["fields"][0]["type"] == "float"
    assert types.pop("tags")["valueType"]["elementType"] == "string"
    assert [each["name"] for each in types.pop("maybe")["fields"]] == ["int", "string"]
    assert types == {
        **{"id": "long", "price": "decimal(12,2)", "at": "timestamp", "day": "date", "state": "string"},
        **{"note": "string", "micros": "timestamp", "local": "timestamp_ntz", "uuid": "string"},
        **{"channel": "string"},
    }, types
    rows = {row["id"]: row for row in found["rows"]}
    assert rows[1]["channel"] == "shop"
    for value in values:
        row = rows[value["id"]]
        maybe = value["maybe"]
        union = maybe and {"int": maybe if maybe == 7 else None, "string": None if maybe == 7 else maybe}
        shown = {
            **{name: str(value[name]) for name in ("price", "at", "day", "micros", "local")},
            **{name: value[name] for name in ("id", "state", "note", "uuid", "nested")},
            **{"tags": [list(pair) for pair in value["tags"].items()], "maybe": union, "channel": None},
        }
        assert {name: row[name] for name in shown} == shown, (row, shown)
    done(f"tables: {records} Avro records as delta-rs reads them, and a new version's column")


def tables_json():
    topic = f"users-table-{run}"
    make_table(topic, schema=f"registry:users-{run}")
    schema = """{
      "$schema": "http://json-schema.org/draft-07/schema#", "title": "User", "type": "object",
      "properties": {
        "name": {"type": "string"}, "age": {"type": ["integer", "null"]}, "score": {"type": "number"},
        "born": {"type": "string", "format": "date"}, "seen": {"type": "string", "format": "date-time"},
        "home": {"type": "object", "properties": {"street": {"type": "string"}}}
      }
    }"""
    subject = {"subject.name.strategy": lambda context, name: f"users-{run}"}
    values = [
        {
            **{"name": f"n{index}", "age": index if index % 2 else None, "score": index / 2 if index % 3 else index},
            **{"born": "1990-02-03", "seen": "2026-01-31T10:00:00.5Z", "home": {"street": f"{index} Road"}},
        }
        for index in range(records)
    ]
    produced(topic, [(None, value) for value in values], JSONSerializer(schema, client(), conf=subject))
    found = table(topic, records)
    types = {name: kind for name, kind in found["schema"].items() if not name.startswith("kafka_")}
    assert types.pop("home")["fields"][0]["type"] == "string"
    assert types == {
        **{"name": "string", "age": "long", "score": "double", "born": "date", "seen": "timestamp"},
    }, types
    rows = {row["name"]: row for row in found["rows"]}
    for value in values:
        shown = {**value, "seen": "2026-01-31 10:00:00.500000+00:00"}
        assert {name: rows[value["name"]][name] for name in shown} == shown, rows[value["name"]]
    done(f"tables: {records} records of a JSON Schema as delta-rs reads them")


def tables():
    if subprocess.run([delta_python, "-c", "import deltalake, pyarrow"], capture_output=True).returncode != 0:
        print(f"skip tables: {delta_python} has no deltalake with pyarrow", flush=True)
        return
    tables_avro()
    tables_json()


for check in (avro, options, references, json, administration, tables):
    check()
