// Prints record batches of magic 2 as Kafka's own builder writes them, one JSON object a line: its
// bytes, and the records they hold. Needs kafka-clients 4.x and the codecs' libraries.
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Random;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.message.KRaftVersionRecord;
import org.apache.kafka.common.message.LeaderChangeMessage;
import org.apache.kafka.common.message.SnapshotFooterRecord;
import org.apache.kafka.common.message.SnapshotHeaderRecord;
import org.apache.kafka.common.message.VotersRecord;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.record.internal.*;
import org.apache.kafka.common.record.internal.Record;

public class GoldenBatches {
  static final PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
  static final long time = 1700000000000L;

  public static void main(String[] args) {
    for (String codec : List.of("none", "gzip", "snappy", "lz4", "zstd")) {
      Compression compression = Compression.of(codec).build();
      for (TimestampType type : List.of(TimestampType.CREATE_TIME, TimestampType.LOG_APPEND_TIME)) {
        MemoryRecordsBuilder builder = MemoryRecords.builder(ByteBuffer.allocate(1 << 16), (byte) 2,
            compression, type, 1L << 40, time + 5, 4000000000L, (short) 7, 11, true, 42);
        for (SimpleRecord record : edges()) builder.append(record);
        print("edges " + codec + " " + type, builder.build());
      }
      MemoryRecordsBuilder large = MemoryRecords.builder(ByteBuffer.allocate(1 << 20), (byte) 2,
          compression, TimestampType.CREATE_TIME, 0L);
      Random random = new Random(7);
      byte[] noise = new byte[100];
      random.nextBytes(noise);
      for (int i = 0; i < 250; i++) {
        byte[] value = new byte[700];
        for (int j = 0; j < value.length; j++) value[j] = (i % 3 == 0) ? (byte) (i + j / 50) : noise[(i + j) % 100];
        large.append(time + i, ("key " + i).getBytes(), value);
      }
      if (!codec.equals("none")) print("large " + codec, large.build());
    }
    MemoryRecordsBuilder gaps = MemoryRecords.builder(ByteBuffer.allocate(4096), (byte) 2,
        Compression.NONE, TimestampType.CREATE_TIME, 10L);
    gaps.appendWithOffset(12, time, "a".getBytes(), "1".getBytes());
    gaps.appendWithOffset(17, time - 100000, "b".getBytes(), null);
    gaps.overrideLastOffset(30);
    print("gaps", gaps.build());

    ByteBuffer header = ByteBuffer.allocate(61);
    DefaultRecordBatch.writeEmptyHeader(header, (byte) 2, 9, (short) 1, 3, 100, 110, 5,
        TimestampType.CREATE_TIME, time, true, false);
    header.flip();
    print("empty", MemoryRecords.readableRecords(header));
    control();
  }

  static List<SimpleRecord> edges() {
    List<SimpleRecord> records = new ArrayList<>();
    byte[] some = "value".getBytes();
    records.add(new SimpleRecord(time, "key".getBytes(), some));
    records.add(new SimpleRecord(time - 3600000, null, some));
    records.add(new SimpleRecord(time + 1, "key".getBytes(), null));
    records.add(new SimpleRecord(time + 63, (byte[]) null, null));
    records.add(new SimpleRecord(time + 64, new byte[0], new byte[0]));
    records.add(new SimpleRecord(0, new byte[63], new byte[64]));
    records.add(new SimpleRecord(time + 99999999999L, new byte[127], new byte[8192]));
    records.add(new SimpleRecord(time, some, some, new Header[] {
        new RecordHeader("", new byte[0]), new RecordHeader("naïve ✓", (byte[]) null),
        new RecordHeader("h", "x".getBytes()), new RecordHeader("h", new byte[200])}));
    return records;
  }

  static void control() {
    print("control commit", MemoryRecords.withEndTransactionMarker(55, time, 3, 123, (short) 4,
        new EndTransactionMarker(ControlRecordType.COMMIT, 9)));
    print("control abort", MemoryRecords.withEndTransactionMarker(56, time, 3, 123, (short) 4,
        new EndTransactionMarker(ControlRecordType.ABORT, 10)));
    Uuid directory = new Uuid(0x1122334455667788L, 0x99aabbccddeeff00L);
    for (short version = 0; version <= ControlRecordUtils.LEADER_CHANGE_CURRENT_VERSION; version++) {
      LeaderChangeMessage change = new LeaderChangeMessage().setVersion(version).setLeaderId(2)
          .setVoters(List.of(voter(1, version, directory), voter(2, version, directory)))
          .setGrantingVoters(List.of(voter(2, version, directory)));
      print("control leaderChange " + version, MemoryRecords.withLeaderChangeMessage(0, time, 1,
          ByteBuffer.allocate(512), change));
    }
    print("control snapshotHeader", MemoryRecords.withSnapshotHeaderRecord(0, time, 1,
        ByteBuffer.allocate(512), new SnapshotHeaderRecord().setLastContainedLogTimestamp(time - 1)));
    print("control snapshotFooter", MemoryRecords.withSnapshotFooterRecord(8, time, 1,
        ByteBuffer.allocate(512), new SnapshotFooterRecord()));
    print("control kRaftVersion", MemoryRecords.withKRaftVersionRecord(1, time, 1,
        ByteBuffer.allocate(512), new KRaftVersionRecord().setKRaftVersion((short) 1)));
    VotersRecord.EndpointCollection endpoints = new VotersRecord.EndpointCollection();
    endpoints.add(new VotersRecord.Endpoint().setName("CONTROLLER").setHost("host-1").setPort(9093));
    print("control voters", MemoryRecords.withVotersRecord(2, time, 1, ByteBuffer.allocate(512),
        new VotersRecord().setVoters(List.of(new VotersRecord.Voter().setVoterId(1)
            .setVoterDirectoryId(directory).setEndpoints(endpoints)
            .setKRaftVersionFeature(new VotersRecord.KRaftVersionFeature()
                .setMinSupportedVersion((short) 0).setMaxSupportedVersion((short) 1))))));
  }

  static LeaderChangeMessage.Voter voter(int id, short version, Uuid directory) {
    LeaderChangeMessage.Voter voter = new LeaderChangeMessage.Voter().setVoterId(id);
    return version == 0 ? voter : voter.setVoterDirectoryId(directory);
  }

  static void print(String name, MemoryRecords set) {
    StringBuilder line = new StringBuilder("{\"name\":\"" + name + "\",\"bytes\":");
    line.append(base64(set.buffer().duplicate())).append(",\"records\":[");
    String separator = "";
    for (Record record : set.records()) {
      if (name.startsWith("large") && record.offset() % 50 != 0) continue;
      line.append(separator).append("[" + record.offset() + "," + record.timestamp() + ",");
      line.append(base64(record.key()) + "," + base64(record.value()) + ",[");
      String between = "";
      for (Header header : record.headers()) {
        byte[] value = header.value();
        line.append(between + "[\"" + header.key() + "\",");
        line.append((value == null ? "null" : base64(ByteBuffer.wrap(value))) + "]");
        between = ",";
      }
      line.append("]]");
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
