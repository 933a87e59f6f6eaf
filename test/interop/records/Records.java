import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedOutputStream;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.PrintStream;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.math.MathContext;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Date;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.utils.Time;
import org.apache.kafka.connect.connector.ConnectRecord;
import org.apache.kafka.connect.data.Field;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.data.SchemaAndValue;
import org.apache.kafka.connect.data.SchemaBuilder;
import org.apache.kafka.connect.data.Struct;
import org.apache.kafka.connect.header.ConnectHeaders;
import org.apache.kafka.connect.header.Header;
import org.apache.kafka.connect.json.JsonConverter;
import org.apache.kafka.connect.runtime.ConnectMetrics;
import org.apache.kafka.connect.runtime.SinkConnectorConfig;
import org.apache.kafka.connect.runtime.TransformationStage;
import org.apache.kafka.connect.runtime.distributed.DistributedConfig;
import org.apache.kafka.connect.runtime.isolation.Plugins;
import org.apache.kafka.connect.sink.SinkRecord;
import org.apache.kafka.connect.source.SourceRecord;
import org.apache.kafka.connect.storage.Converter;
import org.apache.kafka.connect.storage.HeaderConverter;
import org.apache.kafka.connect.transforms.Transformation;
import org.apache.kafka.connect.transforms.predicates.Predicate;
import org.apache.kafka.connect.util.ConnectorTaskId;

/** What Apache Kafka's converters, transformations and predicates make of the cases in a file, one JSON text each. */
public final class Records {
  private static final ObjectMapper MAPPER = new ObjectMapper();
  private static final JsonNodeFactory MAKE = JsonNodeFactory.instance;
  private static final JsonConverter JSON = new JsonConverter();
  private static Plugins plugins;
  private static ConnectMetrics metrics;

  public static void main(String[] args) throws Exception {
    JSON.configure(Map.of("schemas.enable", "true"), false);
    try (PrintStream out =
        new PrintStream(
            new BufferedOutputStream(new FileOutputStream(FileDescriptor.out)),
            false,
            StandardCharsets.UTF_8)) {
      for (String line : Files.readAllLines(Path.of(args[0])))
        out.println(MAPPER.writeValueAsString(outcome(MAPPER.readTree(line))));
    }
    System.exit(0);
  }

  private static JsonNode outcome(JsonNode given) throws Exception {
    String kind = given.get("kind").asText();
    Schema schema = given.has("schema") ? schema(given.get("schema")) : null;
    Object value = given.has("value") ? value(schema, given.get("value")) : null;
    JsonNode hex = given.path("bytes");
    byte[] bytes = hex.isTextual() ? HexFormat.of().parseHex(hex.asText()) : null;
    ConnectRecord<?> record = given.has("record") ? record(given.get("record")) : null;
    Callable<JsonNode> step;
    try {
      step = configured(kind, given, schema, value, bytes, record);
    } catch (Exception | LinkageError e) {
      return failure("configure", e);
    }
    try {
      return MAKE.objectNode().set("made", step.call());
    } catch (Exception | StackOverflowError e) {
      return failure("apply", e);
    }
  }

  private static JsonNode failure(String at, Throwable e) {
    ObjectNode node = MAKE.objectNode();
    node.put("error", e.getClass().getName()).put("at", at).put("message", e.getMessage());
    return node;
  }

  private static Callable<JsonNode> configured(
      String kind, JsonNode given, Schema schema, Object value, byte[] bytes, ConnectRecord<?> record)
      throws Exception {
    Map<String, String> config = new HashMap<>();
    given.get("config").fields().forEachRemaining(e -> config.put(e.getKey(), e.getValue().asText()));
    switch (kind) {
      case "read":
      case "write":
        Converter converter = (Converter) create(given);
        converter.configure(config, given.get("isKey").asBoolean());
        if (kind.equals("read")) return () -> pair(converter.toConnectData("topic", bytes));
        return () -> hex(converter.fromConnectData("topic", schema, value));
      case "readHeader":
      case "writeHeader":
        HeaderConverter headers = (HeaderConverter) create(given);
        config.put("converter.type", "header");
        headers.configure(config);
        if (kind.equals("readHeader")) return () -> pair(headers.toConnectHeader("topic", "h", bytes));
        return () -> hex(headers.fromConnectHeader("topic", "h", schema, value));
      case "predicate":
        Predicate<SinkRecord> predicate = cast(create(given));
        predicate.configure(config);
        return () -> MAKE.booleanNode(predicate.test((SinkRecord) record));
      case "transform":
        Transformation<?> transformation = (Transformation<?>) create(given);
        transformation.configure(config);
        return () -> notation(apply(transformation, record));
      default:
        List<? extends TransformationStage<?>> stages = stages(config);
        return () -> {
          ConnectRecord<?> current = record;
          for (TransformationStage<?> stage : stages) {
            if (current == null) break;
            TransformationStage<SinkRecord> of = cast(stage);
            current = of.apply((SinkRecord) current);
          }
          return notation(current);
        };
    }
  }

  private static List<? extends TransformationStage<?>> stages(Map<String, String> config) {
    if (plugins == null) {
      Map<String, String> worker = new HashMap<>();
      for (String topic : List.of("config", "offset", "status")) worker.put(topic + ".storage.topic", topic);
      worker.put("group.id", "group");
      worker.put("bootstrap.servers", "localhost:9092");
      worker.put("key.converter", JsonConverter.class.getName());
      worker.put("value.converter", JsonConverter.class.getName());
      worker.put("plugin.discovery", "service_load");
      plugins = new Plugins(worker);
      metrics = new ConnectMetrics("worker", new DistributedConfig(worker), Time.SYSTEM, "cluster");
    }
    Map<String, String> settings = new HashMap<>(config);
    settings.put("name", "connector");
    settings.put("connector.class", "org.apache.kafka.connect.file.FileStreamSinkConnector");
    settings.put("topics", "topic");
    return new SinkConnectorConfig(plugins, settings)
        .transformationStages(plugins, new ConnectorTaskId("connector", stagesMade++), metrics);
  }

  private static int stagesMade = 0;

  private static ConnectRecord<?> apply(Transformation<?> transformation, ConnectRecord<?> record) {
    if (record instanceof SinkRecord) {
      Transformation<SinkRecord> of = cast(transformation);
      return of.apply((SinkRecord) record);
    }
    Transformation<SourceRecord> of = cast(transformation);
    return of.apply((SourceRecord) record);
  }

  @SuppressWarnings("unchecked")
  private static <T> T cast(Object given) {
    return (T) given;
  }

  private static Object create(JsonNode given) throws Exception {
    return Class.forName(given.get("className").asText()).getDeclaredConstructor().newInstance();
  }

  // From the notation.

  private static Schema schema(JsonNode node) {
    if (node.isNull()) return null;
    Schema.Type type = Schema.Type.valueOf(node.get(0).asText());
    JsonNode parts = node.get(7);
    SchemaBuilder builder;
    if (type == Schema.Type.ARRAY) builder = SchemaBuilder.array(schema(parts));
    else if (type == Schema.Type.MAP)
      builder = SchemaBuilder.map(schema(parts.get(0)), schema(parts.get(1)));
    else builder = new SchemaBuilder(type);
    if (type == Schema.Type.STRUCT)
      for (JsonNode field : parts) builder.field(field.get(0).asText(), schema(field.get(1)));
    if (node.get(1).asBoolean()) builder.optional();
    if (!node.get(3).isNull()) builder.name(node.get(3).asText());
    if (!node.get(4).isNull()) builder.version(node.get(4).asInt());
    if (!node.get(5).isNull()) builder.doc(node.get(5).asText());
    for (JsonNode parameter : node.get(6))
      builder.parameter(parameter.get(0).asText(), parameter.get(1).asText());
    if (!node.get(2).isNull()) builder.defaultValue(value(builder, node.get(2)));
    return builder.build();
  }

  private static Object value(Schema schema, JsonNode node) {
    if (node.isNull()) return null;
    if (node.isBoolean()) return node.asBoolean();
    if (node.isTextual()) return node.asText();
    String text = node.path(1).asText();
    switch (node.get(0).asText()) {
      case "i":
        long integer = Long.parseLong(text);
        if (schema == null) return integer;
        if (schema.type() == Schema.Type.INT8) return (byte) integer;
        if (schema.type() == Schema.Type.INT16) return (short) integer;
        if (schema.type() == Schema.Type.INT32) return (int) integer;
        return integer;
      case "f":
        double number = Double.longBitsToDouble(Long.parseUnsignedLong(text, 16));
        if (schema != null && schema.type() == Schema.Type.FLOAT32) return (float) number;
        return number;
      case "b":
        return HexFormat.of().parseHex(text);
      case "d":
        return new BigDecimal(new BigInteger(text), node.get(2).asInt());
      case "t":
        return new Date(Long.parseLong(text));
      case "l":
        List<Object> list = new ArrayList<>();
        for (int at = 1; at < node.size(); at++)
          list.add(value(schema == null ? null : schema.valueSchema(), node.get(at)));
        return list;
      case "m":
        Map<Object, Object> map = new LinkedHashMap<>();
        for (int at = 1; at < node.size(); at++)
          map.put(
              value(schema == null ? null : schema.keySchema(), node.get(at).get(0)),
              value(schema == null ? null : schema.valueSchema(), node.get(at).get(1)));
        return map;
      default:
        Struct struct = new Struct(schema(node.get(1)));
        int at = 2;
        for (Field field : struct.schema().fields())
          struct.put(field, value(field.schema(), node.get(at++)));
        return struct;
    }
  }

  private static ConnectRecord<?> record(JsonNode node) {
    Schema keySchema = schema(node.get(2));
    Object key = value(keySchema, node.get(3));
    Schema valueSchema = schema(node.get(4));
    Object value = value(valueSchema, node.get(5));
    String topic = node.get(0).asText();
    Integer partition = node.get(1).isNull() ? null : node.get(1).asInt();
    Long timestamp = node.get(6).isNull() ? null : Long.valueOf(node.get(6).asText());
    ConnectHeaders headers = new ConnectHeaders();
    for (JsonNode header : node.get(7)) {
      Schema schema = schema(header.get(1));
      headers.add(header.get(0).asText(), new SchemaAndValue(schema, value(schema, header.get(2))));
    }
    if (node.get(8).isNull())
      return new SourceRecord(
          Map.of(), Map.of(), topic, partition, keySchema, key, valueSchema, value, timestamp, headers);
    TimestampType type =
        timestamp == null ? TimestampType.NO_TIMESTAMP_TYPE : TimestampType.CREATE_TIME;
    return new SinkRecord(
        topic, partition, keySchema, key, valueSchema, value, Long.parseLong(node.get(8).asText()),
        timestamp, type, headers);
  }

  // To the notation.

  private static JsonNode hex(byte[] bytes) {
    return bytes == null ? MAKE.nullNode() : MAKE.textNode(HexFormat.of().formatHex(bytes));
  }

  private static ArrayNode array(JsonNode... nodes) {
    ArrayNode array = MAKE.arrayNode();
    for (JsonNode node : nodes) array.add(node);
    return array;
  }

  private static JsonNode text(Object value) {
    return value == null ? MAKE.nullNode() : MAKE.textNode(value.toString());
  }

  private static JsonNode number(Integer value) {
    return value == null ? MAKE.nullNode() : MAKE.numberNode(value);
  }

  private static JsonNode pair(SchemaAndValue pair) {
    return array(notation(pair.schema()), valueNotation(pair.value()));
  }

  private static JsonNode notation(ConnectRecord<?> record) {
    if (record == null) return MAKE.nullNode();
    ArrayNode headers = MAKE.arrayNode();
    for (Header header : record.headers())
      headers.add(array(text(header.key()), notation(header.schema()), valueNotation(header.value())));
    ArrayNode node =
        array(
            text(record.topic()), number(record.kafkaPartition()),
            notation(record.keySchema()), valueNotation(record.key()),
            notation(record.valueSchema()), valueNotation(record.value()),
            text(record.timestamp()), headers,
            record instanceof SinkRecord ? text(((SinkRecord) record).kafkaOffset()) : MAKE.nullNode());
    return array(node, bytes(record.keySchema(), record.key()), bytes(record.valueSchema(), record.value()));
  }

  /** What a converter writes of it. */
  private static JsonNode bytes(Schema schema, Object value) {
    try {
      byte[] bytes = JSON.fromConnectData("topic", schema, value);
      return bytes == null ? MAKE.nullNode() : text(new String(bytes, StandardCharsets.UTF_8));
    } catch (RuntimeException e) {
      return MAKE.booleanNode(false);
    }
  }

  private static JsonNode notation(Schema schema) {
    if (schema == null) return MAKE.nullNode();
    JsonNode parameters = MAKE.nullNode();
    if (schema.parameters() != null) {
      ArrayNode pairs = MAKE.arrayNode();
      new TreeMap<>(schema.parameters()).forEach((name, value) -> pairs.add(array(text(name), text(value))));
      parameters = pairs;
    }
    return array(
        text(schema.type().name()), MAKE.booleanNode(schema.isOptional()),
        valueNotation(schema.defaultValue()), text(schema.name()), number(schema.version()),
        text(schema.doc()), parameters, parts(schema));
  }

  private static JsonNode parts(Schema schema) {
    switch (schema.type()) {
      case ARRAY:
        return notation(schema.valueSchema());
      case MAP:
        return array(notation(schema.keySchema()), notation(schema.valueSchema()));
      case STRUCT:
        ArrayNode fields = MAKE.arrayNode();
        for (Field field : schema.fields()) fields.add(array(text(field.name()), notation(field.schema())));
        return fields;
      default:
        return MAKE.nullNode();
    }
  }

  /** Of its shortest text, which Java prints since 19: all that is left of a float where there is no schema. */
  private static double nearestToText(float value) {
    for (int digits = 1; digits < 9 && Float.isFinite(value); digits++) {
      double read = new BigDecimal(value).round(new MathContext(digits)).doubleValue();
      if ((float) read == value) return value == 0 ? value : read;
    }
    return value;
  }

  private static JsonNode valueNotation(Object value) {
    if (value == null) return MAKE.nullNode();
    if (value instanceof Boolean) return MAKE.booleanNode((Boolean) value);
    if (value instanceof String) return text(value);
    if (value instanceof Float || value instanceof Double) {
      double number = value instanceof Float ? nearestToText((Float) value) : (Double) value;
      long bits = Double.doubleToLongBits(number);
      return array(text("f"), text(String.format("%016x", bits)));
    }
    if (value instanceof BigDecimal) {
      BigDecimal decimal = (BigDecimal) value;
      return array(text("d"), text(decimal.unscaledValue()), number(decimal.scale()));
    }
    if (value instanceof Number) return array(text("i"), text(value));
    if (value instanceof byte[]) return array(text("b"), hex((byte[]) value));
    if (value instanceof ByteBuffer) return array(text("b"), hex(((ByteBuffer) value).array()));
    if (value instanceof Date) return array(text("t"), text(((Date) value).getTime()));
    ArrayNode node = MAKE.arrayNode();
    if (value instanceof List) {
      node.add("l");
      for (Object each : (List<?>) value) node.add(valueNotation(each));
      return node;
    }
    if (value instanceof Map) {
      node.add("m");
      Map<String, JsonNode> entries = new TreeMap<>();
      ((Map<?, ?>) value)
          .forEach(
              (key, each) -> {
                JsonNode entry = array(valueNotation(key), valueNotation(each));
                entries.put(entry.toString(), entry);
              });
      entries.values().forEach(node::add);
      return node;
    }
    Struct struct = (Struct) value;
    node.add("s").add(notation(struct.schema()));
    for (Field field : struct.schema().fields()) node.add(valueNotation(struct.getWithoutDefault(field.name())));
    return node;
  }
}
