/**
 * Writes to and reads from a broker with the official client, and prints what it knows, one line per fact,
 * so that the same question to two brokers can be compared line by line.
 *
 *   write <bootstrap> <transactions: yes|no>   topics, records of every codec, groups, deleted records
 *   append <bootstrap>                         some more records to every topic
 *   state <bootstrap>                          every record in both isolation levels, groups, configs
 */
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.*;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.serialization.*;

public class Exchange {
    static final String[] CODECS = {"none", "gzip", "snappy", "lz4", "zstd"};
    static final List<String> TOPICS =
            List.of("exchange-plain", "exchange-compacted", "exchange-trimmed", "exchange-transactions");

    public static void main(String[] args) throws Exception {
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", args[1]))) {
            switch (args[0]) {
                case "write" -> write(admin, args[1], args[2].equals("yes"));
                case "append" -> append(admin, args[1]);
                case "state" -> state(admin, args[1]);
                default -> throw new IllegalArgumentException(args[0]);
            }
        }
    }

    static Producer<String, String> producer(String bootstrap, String codec, String transactionalId) {
        Map<String, Object> settings = new HashMap<>(Map.of(
                "bootstrap.servers", bootstrap, "acks", "all", "enable.idempotence", true,
                "compression.type", codec, "batch.size", 16384, "linger.ms", 5, "delivery.timeout.ms", 40000,
                "request.timeout.ms", 20000, "max.block.ms", 30000));
        if (transactionalId != null) settings.put("transactional.id", transactionalId);
        return new KafkaProducer<>(settings, new StringSerializer(), new StringSerializer());
    }

    static NewTopic topic(String name, int partitions, Map<String, String> configs) {
        return new NewTopic(name, partitions, (short) 1).configs(configs);
    }

    static void write(Admin admin, String bootstrap, boolean transactions) throws Exception {
        Map<String, String> small = Map.of("segment.bytes", "1048576");
        List<NewTopic> topics = new ArrayList<>(List.of(
                topic("exchange-plain", 3, Map.of("segment.bytes", "1048576", "retention.ms", "-1")),
                topic("exchange-compacted", 1, Map.of("cleanup.policy", "compact")),
                topic("exchange-trimmed", 1, small)));
        if (transactions) topics.add(topic("exchange-transactions", 1, small));
        admin.createTopics(topics).all().get();
        for (String codec : CODECS) records(bootstrap, codec, "exchange-plain", 2500, 700, "first");
        records(bootstrap, "none", "exchange-trimmed", 3000, 1000, "first");
        for (int round = 0; round < 3; round++)
            records(bootstrap, "lz4", "exchange-compacted", 100, 50, "round-" + round);
        admin.deleteRecords(Map.of(
                new TopicPartition("exchange-trimmed", 0), RecordsToDelete.beforeOffset(1700))).all().get();
        if (transactions) transactions(bootstrap);
        for (String group : List.of("exchange-readers", "exchange-others")) commit(bootstrap, group);
    }

    /** Keys repeat every 50 records, so that a compacted topic has something to compact. */
    static void records(String bootstrap, String codec, String topic, int count, int bytes, String what)
            throws Exception {
        try (Producer<String, String> producer = producer(bootstrap, codec, null)) {
            List<Future<RecordMetadata>> sent = new ArrayList<>();
            Random random = new Random(topic.hashCode() + codec.hashCode());
            long began = System.currentTimeMillis() - 3_600_000;
            for (int at = 0; at < count; at++) {
                ProducerRecord<String, String> record = new ProducerRecord<>(
                        topic, null, began + at, "key-" + at % 50,
                        what + "-" + codec + "-" + at + "-" + text(random, bytes));
                record.headers().add("codec", codec.getBytes(StandardCharsets.UTF_8));
                sent.add(producer.send(record));
            }
            for (Future<RecordMetadata> one : sent) one.get();
        }
    }

    static String text(Random random, int bytes) {
        StringBuilder text = new StringBuilder(bytes);
        while (text.length() < bytes) text.append(Long.toString(random.nextLong(), 36));
        return text.substring(0, bytes);
    }

    /** Committed and aborted ones in turns, two producers interleaved, and one that stays aborted at the end. */
    static void transactions(String bootstrap) throws Exception {
        String topic = "exchange-transactions";
        try (Producer<String, String> left = producer(bootstrap, "none", "left");
                Producer<String, String> right = producer(bootstrap, "snappy", "right")) {
            left.initTransactions();
            right.initTransactions();
            for (int round = 0; round < 12; round++) {
                left.beginTransaction();
                right.beginTransaction();
                for (int at = 0; at < 120; at++) {
                    left.send(new ProducerRecord<>(topic, "l" + at, "left-" + round + "-" + at + "x".repeat(600)));
                    right.send(new ProducerRecord<>(topic, "r" + at, "right-" + round + "-" + at + "y".repeat(600)));
                }
                left.flush();
                right.flush();
                if (round % 2 == 0) left.commitTransaction(); else left.abortTransaction();
                if (round % 3 == 0) right.abortTransaction(); else right.commitTransaction();
            }
        }
    }

    static void commit(String bootstrap, String group) {
        try (Consumer<String, String> consumer = consumer(bootstrap, group, "read_uncommitted")) {
            consumer.subscribe(List.of("exchange-plain", "exchange-trimmed"));
            int seen = 0;
            for (long end = System.currentTimeMillis() + 20_000; seen < 4000 && System.currentTimeMillis() < end; )
                seen += consumer.poll(Duration.ofMillis(500)).count();
            consumer.commitSync();
        }
    }

    static void append(Admin admin, String bootstrap) throws Exception {
        Set<String> there = admin.listTopics().names().get();
        for (String topic : TOPICS)
            if (there.contains(topic))
                for (String codec : CODECS)
                    // Batches for a compacted topic are opened by the broker, which not every Node can.
                    if (!codec.equals("zstd") || !topic.equals("exchange-compacted"))
                        records(bootstrap, codec, topic, 60, 300, "appended");
    }

    static Consumer<String, String> consumer(String bootstrap, String group, String isolation) {
        return new KafkaConsumer<>(
                Map.of("bootstrap.servers", bootstrap, "group.id", group, "auto.offset.reset", "earliest",
                        "enable.auto.commit", false, "isolation.level", isolation, "max.poll.records", 5000),
                new StringDeserializer(), new StringDeserializer());
    }

    static void state(Admin admin, String bootstrap) throws Exception {
        Set<String> there = new TreeSet<>(admin.listTopics().names().get());
        there.retainAll(TOPICS);
        for (String isolation : List.of("read_uncommitted", "read_committed"))
            for (String topic : there) read(admin, bootstrap, topic, isolation);
        for (GroupListing group : admin.listGroups().all().get())
            if (group.groupId().startsWith("exchange-"))
                admin.listConsumerGroupOffsets(group.groupId()).partitionsToOffsetAndMetadata().get()
                        .forEach((partition, offset) -> System.out.println(
                                "group " + group.groupId() + " " + partition + " " + offset.offset()));
        for (String topic : there) {
            ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
            for (ConfigEntry entry : admin.describeConfigs(List.of(resource)).all().get().get(resource).entries())
                if (entry.source() == ConfigEntry.ConfigSource.DYNAMIC_TOPIC_CONFIG)
                    System.out.println("config " + topic + " " + entry.name() + " " + entry.value());
        }
        System.out.println("cluster " + admin.describeCluster().clusterId().get());
        for (TopicDescription topic : admin.describeTopics(there).allTopicNames().get().values())
            System.out.println("topic " + topic.name() + " " + topic.topicId() + " " + topic.partitions().size());
    }

    static void read(Admin admin, String bootstrap, String topic, String isolation)
            throws ExecutionException, InterruptedException {
        try (Consumer<String, String> consumer = consumer(bootstrap, "exchange-state", isolation)) {
            List<TopicPartition> partitions = consumer.partitionsFor(topic).stream()
                    .map(one -> new TopicPartition(topic, one.partition())).toList();
            Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
            for (TopicPartition partition : partitions) {
                consumer.assign(List.of(partition));
                consumer.seekToBeginning(List.of(partition));
                String at = topic + " " + partition.partition() + " " + isolation;
                System.out.println("from " + at + " " + consumer.position(partition));
                long giveUpAt = System.currentTimeMillis() + 30_000;
                while (consumer.position(partition) < ends.get(partition) && System.currentTimeMillis() < giveUpAt)
                    for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(500)))
                        System.out.println("record " + at + " " + record.offset() + " " + record.timestamp() + " "
                                + record.key() + " " + Integer.toHexString(record.value().hashCode()) + " "
                                + record.value().length() + " " + record.headers().toArray().length);
                System.out.println("to " + at + " " + consumer.position(partition));
            }
        }
    }
}
