import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.lang.reflect.Constructor;
import java.lang.reflect.Field;
import java.lang.reflect.Modifier;
import java.lang.reflect.ParameterizedType;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Collection;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.jar.JarFile;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.zip.GZIPInputStream;
import java.util.zip.GZIPOutputStream;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.ObjectSerializationCache;
import org.apache.kafka.common.protocol.types.BoundField;
import org.apache.kafka.common.protocol.types.RawTaggedField;
import org.apache.kafka.common.protocol.types.Schema;
import org.apache.kafka.common.protocol.types.TaggedFields;
import org.apache.kafka.common.protocol.types.Type;

/**
 * Encodes values with Kafka's own generated message classes: every class on the class path, every
 * version that it has, several values each. A line of output holds the value in JSON beside its
 * bytes in base64; lines are grouped in one compressed file per API or kind of record.
 *
 * Usage: GoldenMessages DIRECTORY all|stored|older. "stored" leaves out what the clients' jar has;
 * "older" adds only versions below those that are there. A value holds the fields of its version.
 */
public final class GoldenMessages {
  /** What the fields of a value are filled with. */
  enum Fill { STANDARD, EMPTY, LOWEST, HIGHEST, MIXED, UNKNOWN_TAGS }

  private static final Base64.Encoder BASE64 = Base64.getEncoder();
  private static final long SAFE_INTEGER_LIMIT = 1L << 53;

  private final Random random = new Random(1);
  private final Fill fill;

  private GoldenMessages(Fill fill) {
    this.fill = fill;
  }

  public static void main(String[] arguments) throws Exception {
    Path directory = Path.of(arguments[0]);
    String scope = arguments[1];
    Files.createDirectories(directory);
    for (Class<?> type : messageClasses(scope)) {
      String name = nameOf(type);
      Path file = directory.resolve(fileOf(type, name) + ".jsonl.gz");
      TreeSet<Integer> known = knownVersions(file, name);
      if (scope.equals("older") && known.isEmpty()) continue;
      StringBuilder lines = new StringBuilder();
      Schema[] schemas = (Schema[]) type.getField("SCHEMAS").get(null);
      for (short version = 0; version < schemas.length; version++) {
        if (schemas[version] == null || known.contains((int) version)) continue;
        if (scope.equals("older") && version > known.first()) continue;
        for (Fill fill : Fill.values()) {
          lines.append(lineOf(type, name, version, schemas[version], fill));
        }
      }
      if (lines.length() > 0) append(file, lines.toString());
    }
  }

  private static List<Class<?>> messageClasses(String scope) throws Exception {
    TreeMap<String, Class<?>> found = new TreeMap<>();
    Pattern entry = Pattern.compile(
        scope.equals("stored")
            ? "org/apache/kafka/(.*/generated|common/metadata)/\\w+\\.class"
            : "org/apache/kafka/common/message/\\w+\\.class");
    for (String path : System.getProperty("java.class.path").split(":")) {
      if (!Path.of(path).getFileName().toString().startsWith("kafka")) continue;
      try (JarFile jar = new JarFile(path)) {
        for (var iterator = jar.entries().asIterator(); iterator.hasNext(); ) {
          String name = iterator.next().getName();
          if (!entry.matcher(name).matches() || name.endsWith("JsonConverter.class")) continue;
          Class<?> type = Class.forName(name.substring(0, name.length() - 6).replace('/', '.'));
          // Share groups were still a preview in the older clients.
          if (scope.equals("older") && type.getSimpleName().contains("Share")) continue;
          if (Message.class.isAssignableFrom(type)) found.put(type.getSimpleName(), type);
        }
      }
    }
    return new ArrayList<>(found.values());
  }

  private static String nameOf(Class<?> type) {
    return type.getSimpleName().replaceFirst("(Request|Response|Header)Data$", "$1");
  }

  /** One file per API; one for each part of Kafka that stores records. */
  private static String fileOf(Class<?> type, String name) {
    Matcher part =
        Pattern.compile("org\\.apache\\.kafka\\.(coordinator\\.|server\\.)?(\\w+).*\\.generated")
            .matcher(type.getPackageName());
    if (part.matches()) return "stored-" + part.group(2);
    if (type.getPackageName().endsWith("metadata")) return "stored-metadata";
    String subject =
        name.endsWith("Header") ? "Header" : name.replaceFirst("(Request|Response)$", "");
    return subject.replaceAll("(?<=[a-z0-9])(?=[A-Z])", "-").toLowerCase();
  }

  private static TreeSet<Integer> knownVersions(Path file, String name) throws IOException {
    TreeSet<Integer> versions = new TreeSet<>();
    if (!Files.exists(file)) return versions;
    try (InputStream input = new GZIPInputStream(Files.newInputStream(file))) {
      String text = new String(input.readAllBytes(), StandardCharsets.UTF_8);
      Matcher matcher =
          Pattern.compile("\"message\":\"" + name + "\",\"version\":(\\d+)").matcher(text);
      while (matcher.find()) versions.add(Integer.parseInt(matcher.group(1)));
    }
    return versions;
  }

  /** A gzip file may be several one after another. */
  private static void append(Path file, String text) throws IOException {
    ByteArrayOutputStream compressed = new ByteArrayOutputStream();
    try (OutputStream output = new GZIPOutputStream(compressed)) {
      output.write(text.getBytes(StandardCharsets.UTF_8));
    }
    Files.write(
        file, compressed.toByteArray(), StandardOpenOption.CREATE, StandardOpenOption.APPEND);
  }

  private static String lineOf(Class<?> type, String name, short version, Schema schema, Fill fill)
      throws Exception {
    if (fill == Fill.UNKNOWN_TAGS && !isFlexible(schema)) return "";
    GoldenMessages maker = new GoldenMessages(fill);
    Message message = (Message) type.getConstructor().newInstance();
    if (fill != Fill.STANDARD) maker.fillStruct(message, schema, 0);
    ObjectSerializationCache cache = new ObjectSerializationCache();
    ByteBuffer bytes = ByteBuffer.allocate(message.size(cache, version));
    message.write(new ByteBufferAccessor(bytes), cache, version);
    StringBuilder json = new StringBuilder();
    writeStruct(json, message, schema);
    return "{\"message\":\"" + name + "\",\"version\":" + version + ",\"fill\":\"" + fill
        + "\",\"value\":" + json + ",\"bytes\":\"" + BASE64.encodeToString(bytes.array()) + "\"}\n";
  }

  private static boolean isFlexible(Schema schema) {
    for (BoundField field : schema.fields()) {
      if (field.def.type instanceof TaggedFields) return true;
    }
    return false;
  }

  /** The fields of a version, tagged ones included, with their types. */
  private static Map<String, Type> fieldsOf(Schema schema)
      throws Exception {
    Map<String, Type> fields = new LinkedHashMap<>();
    for (BoundField field : schema.fields()) {
      if (field.def.type instanceof TaggedFields) {
        for (var tagged : taggedFieldsOf((TaggedFields) field.def.type).values()) {
          fields.put(tagged.name, tagged.type);
        }
      } else {
        fields.put(field.def.name, field.def.type);
      }
    }
    return fields;
  }

  @SuppressWarnings("unchecked")
  private static Map<Integer, org.apache.kafka.common.protocol.types.Field> taggedFieldsOf(
      TaggedFields tags) throws Exception {
    Field fields = TaggedFields.class.getDeclaredField("fields");
    fields.setAccessible(true);
    return (Map<Integer, org.apache.kafka.common.protocol.types.Field>) fields.get(tags);
  }

  /** The Java field for a schema's field, whose name is in snake case. */
  private static Field javaField(Class<?> type, String name) {
    String plain = name.replace("_", "");
    for (Field field : type.getDeclaredFields()) {
      if (Modifier.isStatic(field.getModifiers())) continue;
      if (field.getName().startsWith("_") || !field.getName().equalsIgnoreCase(plain)) continue;
      field.setAccessible(true);
      return field;
    }
    throw new IllegalStateException(type + " has no " + name);
  }

  private void fillStruct(Message message, Schema schema, int depth) throws Exception {
    for (var entry : fieldsOf(schema).entrySet()) {
      Field field = javaField(message.getClass(), entry.getKey());
      boolean isNullable =
          entry.getValue().isNullable()
              || (entry.getValue() instanceof Schema && field.get(message) == null);
      boolean makeNull = fill == Fill.EMPTY || (fill == Fill.MIXED && random.nextInt(4) == 0);
      if (isNullable && makeNull) field.set(message, null);
      else field.set(message, valueFor(entry.getValue(), field.getGenericType(), depth));
    }
    if (fill == Fill.UNKNOWN_TAGS && isFlexible(schema)) {
      message.unknownTaggedFields().add(new RawTaggedField(10_000, new byte[0]));
      message.unknownTaggedFields().add(new RawTaggedField(10_001, new byte[] {1, 2, 3}));
    }
  }

  private Object valueFor(Type type, java.lang.reflect.Type javaType, int depth)
      throws Exception {
    if (type.isArray()) return collectionFor(type.arrayElementType().get(), javaType, depth);
    if (type instanceof Schema) {
      Message struct = (Message) constructorOf((Class<?>) javaType).newInstance();
      fillStruct(struct, (Schema) type, depth);
      return struct;
    }
    String name = type.toString();
    if (name.endsWith("STRING")) return text();
    if (name.endsWith("RECORDS")) {
      return memoryRecords().getMethod("readableRecords", ByteBuffer.class)
          .invoke(null, ByteBuffer.wrap(bytes()));
    }
    if (name.endsWith("BYTES")) {
      return javaType == ByteBuffer.class ? ByteBuffer.wrap(bytes()) : bytes();
    }
    switch (name) {
      case "BOOLEAN": return fill == Fill.HIGHEST || (isMixed() && random.nextBoolean());
      case "INT8": return (byte) number(Byte.MIN_VALUE, Byte.MAX_VALUE);
      case "INT16": return (short) number(Short.MIN_VALUE, Short.MAX_VALUE);
      case "UINT16": return (int) number(0, 0xffff);
      case "INT32": return (int) number(Integer.MIN_VALUE, Integer.MAX_VALUE);
      case "UINT32": return number(0, 0xffffffffL);
      case "INT64": return number(Long.MIN_VALUE, Long.MAX_VALUE);
      case "FLOAT64":
        return fill == Fill.HIGHEST ? Double.MAX_VALUE
            : fill == Fill.LOWEST ? -Double.MIN_VALUE : isMixed() ? 1.0 / 3 : 0.0;
      case "UUID":
        return fill == Fill.EMPTY ? Uuid.ZERO_UUID
            : fill == Fill.HIGHEST ? new Uuid(-1, -1)
            : new Uuid(random.nextLong(), random.nextLong());
      default: throw new IllegalStateException("no values for " + name);
    }
  }

  @SuppressWarnings("unchecked")
  private Object collectionFor(Type element, java.lang.reflect.Type javaType, int depth)
      throws Exception {
    Collection<Object> collection;
    java.lang.reflect.Type elementType;
    if (javaType instanceof ParameterizedType) {
      elementType = ((ParameterizedType) javaType).getActualTypeArguments()[0];
      collection = new ArrayList<>();
    } else {
      Class<?> collectionType = (Class<?>) javaType;
      elementType =
          ((ParameterizedType) collectionType.getGenericSuperclass()).getActualTypeArguments()[0];
      Constructor<?> constructor = collectionType.getDeclaredConstructor(int.class);
      constructor.setAccessible(true);
      collection = (Collection<Object>) constructor.newInstance(0);
    }
    int size = fill == Fill.EMPTY ? 0 : depth > 1 || fill == Fill.LOWEST ? 1 : 2;
    if (fill == Fill.HIGHEST && depth == 0 && !(element instanceof Schema)) size = 200;
    for (int i = 0; i < size; i++) collection.add(valueFor(element, elementType, depth + 1));
    return collection;
  }

  /** The class moved in 4.4. */
  private static Class<?> memoryRecords() throws ClassNotFoundException {
    try {
      return Class.forName("org.apache.kafka.common.record.internal.MemoryRecords");
    } catch (ClassNotFoundException older) {
      return Class.forName("org.apache.kafka.common.record.MemoryRecords");
    }
  }

  private static Constructor<?> constructorOf(Class<?> type) throws Exception {
    Constructor<?> constructor = type.getDeclaredConstructor();
    constructor.setAccessible(true);
    return constructor;
  }

  private boolean isMixed() {
    return fill == Fill.MIXED || fill == Fill.UNKNOWN_TAGS;
  }

  /** Within the integers that a double holds exactly, or an end of the type's range. */
  private long number(long lowest, long highest) {
    if (fill == Fill.EMPTY) return 0;
    if (fill == Fill.LOWEST) return lowest;
    if (fill == Fill.HIGHEST) return highest;
    long low = Math.max(lowest, 1 - SAFE_INTEGER_LIMIT);
    long high = Math.min(highest, SAFE_INTEGER_LIMIT - 1);
    return low + (long) (random.nextDouble() * (high - low));
  }

  private String text() {
    switch (fill) {
      case EMPTY: return "";
      case LOWEST: return "a";
      case HIGHEST:
        return "gr\u00f6\u00dfe \u6c34\u8eca \ud83c\udfb0 ".repeat(random.nextInt(3) == 0 ? 40 : 2);
      default: return Long.toString(random.nextLong(), 36);
    }
  }

  private byte[] bytes() {
    int size = fill == Fill.EMPTY ? 0 : fill == Fill.LOWEST ? 1 : fill == Fill.HIGHEST ? 300 : 20;
    byte[] bytes = new byte[size];
    random.nextBytes(bytes);
    return bytes;
  }

  private static void writeStruct(StringBuilder json, Object struct, Schema schema)
      throws Exception {
    char separator = '{';
    for (var entry : fieldsOf(schema).entrySet()) {
      Field field = javaField(struct.getClass(), entry.getKey());
      json.append(separator).append('"').append(field.getName()).append("\":");
      writeValue(json, field.get(struct), entry.getValue());
      separator = ',';
    }
    if (separator == '{') json.append('{');
    json.append('}');
  }

  private static void writeValue(StringBuilder json, Object value, Type type) throws Exception {
    if (value == null) json.append("null");
    else if (type.isArray()) {
      json.append('[');
      Iterator<?> elements = ((Collection<?>) value).iterator();
      while (elements.hasNext()) {
        writeValue(json, elements.next(), type.arrayElementType().get());
        if (elements.hasNext()) json.append(',');
      }
      json.append(']');
    } else if (type instanceof Schema) writeStruct(json, value, (Schema) type);
    else if (value instanceof Number || value instanceof Boolean) json.append(value);
    else if (value instanceof byte[]) writeBytes(json, (byte[]) value);
    else if (value instanceof ByteBuffer) writeBytes(json, ((ByteBuffer) value).array());
    else if (value.getClass().getSimpleName().equals("MemoryRecords")) {
      writeBytes(json, ((ByteBuffer) value.getClass().getMethod("buffer").invoke(value)).array());
    } else json.append('"').append(value).append('"');
  }

  private static void writeBytes(StringBuilder json, byte[] bytes) {
    json.append('"').append(BASE64.encodeToString(bytes)).append('"');
  }
}
