import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.connect.mirror.MirrorClient;
import org.apache.kafka.connect.mirror.RemoteClusterUtils;

/**
 * Fills a topic that is to be mirrored, and looks at what the mirror has made of it with the client library of
 * MirrorMaker.
 *
 *     Mirrors fill BOOTSTRAP TOPIC COUNT GROUP
 *     Mirrors check SOURCE TARGET ALIAS TOPIC COUNT GROUP HOPS
 *
 * HOPS: from the source to the target, as heartbeats that were mirrored tell it; -1 where none were.
 */
public class Mirrors {
    private static final int PARTITIONS = 3;

    public static void main(String[] args) throws Exception {
        switch (args[0]) {
            case "fill" -> fill(args[1], args[2], Integer.parseInt(args[3]), args[4]);
            case "check" -> check(args[1], args[2], args[3], args[4], Integer.parseInt(args[5]), args[6],
                Integer.parseInt(args[7]));
            default -> throw new IllegalArgumentException(args[0]);
        }
    }

    private static Map<String, Object> properties(String bootstrap) {
        Map<String, Object> properties = new HashMap<>();
        properties.put("bootstrap.servers", bootstrap);
        properties.put("isolation.level", "read_committed");
        properties.put("auto.offset.reset", "earliest");
        properties.put("enable.auto.commit", "false");
        return properties;
    }

    /** Every tenth transaction is aborted. The group stops in the midst of each partition. */
    private static void fill(String bootstrap, String topic, int count, String group) throws Exception {
        try (Admin admin = Admin.create(properties(bootstrap))) {
            NewTopic made = new NewTopic(topic, PARTITIONS, (short) 1).configs(Map.of("retention.ms", "3000000000000"));
            admin.createTopics(List.of(made)).all().get();
        }
        Map<String, Object> producing = properties(bootstrap);
        producing.put("transactional.id", "filler");
        producing.put("compression.type", "lz4");
        try (KafkaProducer<byte[], byte[]> producer =
                new KafkaProducer<>(producing, new ByteArraySerializer(), new ByteArraySerializer())) {
            producer.initTransactions();
            int written = 0;
            for (int round = 0; written < count; round++) {
                producer.beginTransaction();
                int until = Math.min(count, written + 250);
                for (int at = written; at < until; at++) {
                    byte[] key = at % 4 == 0 ? null : ("key " + at).getBytes();
                    byte[] value = at % 7 == 0 ? null : ("value " + at).getBytes();
                    producer.send(new ProducerRecord<>(topic, at % PARTITIONS, 1_650_000_000_000L + at, key, value,
                        List.of(new RecordHeader("at", new byte[] {(byte) at}), new RecordHeader("none", null))));
                }
                if (round % 10 == 9) {
                    producer.abortTransaction();
                } else {
                    producer.commitTransaction();
                    written = until;
                }
            }
        }
        try (KafkaConsumer<byte[], byte[]> consumer = consumer(bootstrap, group)) {
            Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
            int[] seen = new int[PARTITIONS];
            for (ConsumerRecord<byte[], byte[]> record : read(consumer, topic, count))
                if (seen[record.partition()]++ == count / PARTITIONS / 2)
                    offsets.put(new TopicPartition(topic, record.partition()),
                        new OffsetAndMetadata(record.offset() + 1, "half"));
            consumer.commitSync(offsets);
            System.out.println(offsets.size() + " partitions committed");
        }
    }

    private static void check(String source, String target, String alias, String topic, int count, String group,
            int hops) throws Exception {
        String remote = alias + "." + topic;
        List<ConsumerRecord<byte[], byte[]>> wanted;
        List<ConsumerRecord<byte[], byte[]>> found;
        try (KafkaConsumer<byte[], byte[]> consumer = consumer(source, null)) {
            wanted = read(consumer, topic, count);
        }
        try (KafkaConsumer<byte[], byte[]> consumer = consumer(target, null)) {
            found = read(consumer, remote, count);
        }
        require(wanted.size() == count && found.size() == count, wanted.size() + " and " + found.size() + " records");
        for (int partition = 0; partition < PARTITIONS; partition++)
            require(texts(wanted, partition).equals(texts(found, partition)), "partition " + partition + " differs");
        Map<String, Object> asking = properties(target);
        try (MirrorClient client = new MirrorClient(asking)) {
            require(client.remoteTopics(alias).contains(remote), "remote topics " + client.remoteTopics(alias));
            require(client.checkpointTopics().equals(Set.of(alias + ".checkpoints.internal")),
                "topics of checkpoints " + client.checkpointTopics());
            require(client.replicationHops(alias) == hops, "hops " + client.replicationHops(alias));
        }
        Map<TopicPartition, OffsetAndMetadata> translated =
            RemoteClusterUtils.translateOffsets(asking, alias, group, Duration.ofSeconds(20));
        require(translated.size() == PARTITIONS, "translated " + translated);
        Map<TopicPartition, OffsetAndMetadata> there;
        Map<TopicPartition, OffsetAndMetadata> here;
        try (Admin admin = Admin.create(asking); Admin sourceAdmin = Admin.create(properties(source))) {
            there = admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get();
            here = sourceAdmin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get();
        }
        long again = 0;
        for (int partition = 0; partition < PARTITIONS; partition++) {
            TopicPartition at = new TopicPartition(remote, partition);
            OffsetAndMetadata told = translated.get(at);
            require(told.offset() == there.get(at).offset() && told.metadata().equals("half"), "moved to " + there);
            long left = before(wanted, partition, here.get(new TopicPartition(topic, partition)).offset());
            long reached = before(found, partition, told.offset());
            require(reached <= left, "partition " + partition + ": " + (reached - left) + " records are missed");
            again += left - reached;
        }
        System.out.println(count + " records alike, the group reads " + again + " again");
    }

    private static long before(List<ConsumerRecord<byte[], byte[]>> records, int partition, long offset) {
        return records.stream().filter(record -> record.partition() == partition && record.offset() < offset).count();
    }

    private static List<String> texts(List<ConsumerRecord<byte[], byte[]>> records, int partition) {
        List<String> texts = new ArrayList<>();
        for (ConsumerRecord<byte[], byte[]> record : records) {
            if (record.partition() != partition) continue;
            StringBuilder text = new StringBuilder();
            text.append(record.timestamp()).append(' ').append(Arrays.toString(record.key())).append(' ')
                .append(Arrays.toString(record.value()));
            record.headers().forEach(header ->
                text.append(' ').append(header.key()).append('=').append(Arrays.toString(header.value())));
            texts.add(text.toString());
        }
        return texts;
    }

    private static KafkaConsumer<byte[], byte[]> consumer(String bootstrap, String group) {
        Map<String, Object> properties = properties(bootstrap);
        if (group != null) properties.put("group.id", group);
        return new KafkaConsumer<>(properties, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    /** At least as many, by partition in order. */
    private static List<ConsumerRecord<byte[], byte[]>> read(
            KafkaConsumer<byte[], byte[]> consumer, String topic, int count) {
        List<TopicPartition> partitions = new ArrayList<>();
        for (int partition = 0; partition < PARTITIONS; partition++)
            partitions.add(new TopicPartition(topic, partition));
        consumer.assign(partitions);
        consumer.seekToBeginning(partitions);
        List<ConsumerRecord<byte[], byte[]>> records = new ArrayList<>();
        long deadline = System.currentTimeMillis() + 30_000;
        while (records.size() < count && System.currentTimeMillis() < deadline)
            consumer.poll(Duration.ofMillis(200)).forEach(records::add);
        return records;
    }

    private static void require(boolean isSo, String otherwise) {
        if (isSo) return;
        System.out.println(otherwise);
        System.exit(1);
    }
}
