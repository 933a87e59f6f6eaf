// Prints message sets of magic 0 and 1 as Kafka's own builder writes them, and what Kafka's broker
// makes of newer batches for old clients, one JSON object a line. Needs kafka-clients 3.9, the last
// that converts down, and the codecs' libraries.
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.List;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.record.*;
import org.apache.kafka.common.record.Record;
import org.apache.kafka.common.utils.Time;

public class GoldenMessageSets {
  static final PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
  static final long time = 1500000000000L;

  public static void main(String[] args) {
    for (byte magic = 0; magic <= 1; magic++) {
      for (String codec : List.of("none", "gzip", "snappy", "lz4")) {
        for (TimestampType type : List.of(TimestampType.CREATE_TIME, TimestampType.LOG_APPEND_TIME)) {
          for (long base : new long[] {0, 1L << 33}) {
            ByteBuffer buffer = set(magic, codec, type, base);
            print("set " + magic + " " + codec + " " + type + " " + base, null, buffer, buffer, -1);
          }
        }
      }
    }
    for (String codec : List.of("none", "gzip", "snappy", "lz4")) {
      for (byte to = 0; to <= 1; to++) {
        for (TimestampType type : List.of(TimestampType.CREATE_TIME, TimestampType.LOG_APPEND_TIME)) {
          ByteBuffer stored = stored(codec, type);
          for (long first : new long[] {100, 102}) {
            ByteBuffer converted = down(stored, to, first);
            print("down " + to + " " + codec + " " + type + " " + first, stored, converted, converted, first);
          }
        }
      }
      ByteBuffer old = set((byte) 1, codec, TimestampType.CREATE_TIME, 40);
      ByteBuffer older = down(old, (byte) 0, 41);
      print("down 0 " + codec + " from1 41", old, older, older, 41);
    }
  }

  static ByteBuffer set(byte magic, String codec, TimestampType type, long base) {
    MemoryRecordsBuilder builder = MemoryRecords.builder(ByteBuffer.allocate(8192), magic,
        Compression.of(codec).build(), magic == 0 ? TimestampType.CREATE_TIME : type, base, time + 9);
    long at = magic == 0 ? RecordBatch.NO_TIMESTAMP : time;
    builder.append(at, "key".getBytes(), "value".getBytes());
    builder.append(at, (byte[]) null, "value".getBytes());
    builder.append(magic == 0 ? at : at + 7, "key".getBytes(), null);
    builder.append(at, (byte[]) null, null);
    builder.append(at, new byte[0], new byte[300]);
    return builder.build().buffer();
  }

  /** A batch with headers, a commit marker, and a batch with a gap. */
  static ByteBuffer stored(String codec, TimestampType type) {
    ByteBuffer all = ByteBuffer.allocate(1 << 16);
    MemoryRecordsBuilder first = MemoryRecords.builder(ByteBuffer.allocate(8192), (byte) 2,
        Compression.of(codec).build(), type, 100, time + 9, 5, (short) 0, 0, true, 3);
    for (int i = 0; i < 4; i++) {
      first.append(time + 10 - i, i == 1 ? null : ("key " + i).getBytes(), new byte[40 * i],
          new Header[] {new RecordHeader("h", new byte[] {1})});
    }
    all.put(first.build().buffer());
    all.put(MemoryRecords.withEndTransactionMarker(104, time, 3, 5, (short) 0,
        new EndTransactionMarker(ControlRecordType.COMMIT, 1)).buffer());
    MemoryRecordsBuilder second = MemoryRecords.builder(ByteBuffer.allocate(8192), (byte) 2,
        Compression.of(codec).build(), type, 105, time + 9, 3);
    second.appendWithOffset(107, time, "late".getBytes(), null);
    second.appendWithOffset(109, time + 1, null, "end".getBytes());
    all.put(second.build().buffer());
    all.flip();
    return all;
  }

  static ByteBuffer down(ByteBuffer stored, byte to, long first) {
    return ((MemoryRecords) MemoryRecords.readableRecords(stored.duplicate())
        .downConvert(to, first, Time.SYSTEM).records()).buffer();
  }

  static void print(String name, ByteBuffer source, ByteBuffer bytes, ByteBuffer set, long first) {
    StringBuilder line = new StringBuilder("{\"name\":\"" + name + "\",");
    if (source != null) line.append("\"source\":" + base64(source) + ",\"firstOffset\":" + first + ",");
    line.append("\"bytes\":" + base64(bytes) + ",\"messages\":[");
    String separator = "";
    for (Record record : MemoryRecords.readableRecords(set.duplicate()).records()) {
      line.append(separator).append("[" + record.offset() + "," + record.timestamp() + ",");
      line.append(base64(record.key()) + "," + base64(record.value()) + "]");
      separator = ",";
    }
    out.println(line + "]}");
  }

  static String base64(ByteBuffer bytes) {
    if (bytes == null) return "null";
    byte[] copy = new byte[bytes.remaining()];
    bytes.duplicate().get(copy);
    return '"' + Base64.getEncoder().encodeToString(copy) + '"';
  }
}
