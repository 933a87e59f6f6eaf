import java.io.BufferedOutputStream;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.consumer.AcknowledgeType;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.KafkaShareConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.GroupType;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.RebalanceInProgressException;
import org.apache.kafka.common.errors.TopicExistsException;

/** The official client: Roundtrip produce|consume|admin|share|migrate|version BOOTSTRAP TOPIC [GROUP COUNT]. */
public class Roundtrip {
    public static void main(String[] args) throws Exception {
        switch (args[0]) {
            case "version" -> System.out.println("kafka-clients " + version());
            case "produce" -> produce(args[1], args[2]);
            case "consume" -> consume(args[1], args[2], args[3], Integer.parseInt(args[4]));
            case "admin" -> administer(args[1], args[2]);
            case "share" -> share(args[1], args[2]);
            case "migrate" -> migrate(args[1], args[2]);
            default -> throw new IllegalArgumentException(args[0]);
        }
    }

    private static String version() throws IOException {
        Properties properties = new Properties();
        try (InputStream in = Admin.class.getResourceAsStream("/kafka/kafka-version.properties")) {
            properties.load(in);
        }
        return properties.getProperty("version");
    }

    private static Properties properties(String bootstrap) {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", bootstrap);
        String strings = "org.apache.kafka.common.serialization.String";
        properties.put("key.serializer", strings + "Serializer");
        properties.put("value.serializer", strings + "Serializer");
        properties.put("key.deserializer", strings + "Deserializer");
        properties.put("value.deserializer", strings + "Deserializer");
        return properties;
    }

    private static void produce(String bootstrap, String topic) throws Exception {
        AtomicReference<Exception> failure = new AtomicReference<>();
        try (KafkaProducer<String, String> producer = new KafkaProducer<>(properties(bootstrap));
             BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8))) {
            String line;
            for (int number = 0; (line = lines.readLine()) != null; number++) {
                producer.send(new ProducerRecord<>(topic, Integer.toString(number), line), (metadata, exception) -> {
                    if (exception != null) failure.set(exception);
                });
            }
        }
        if (failure.get() != null) throw failure.get();
    }

    private static void consume(String bootstrap, String topic, String group, int count) {
        Properties properties = properties(bootstrap);
        properties.put("group.id", group);
        properties.put("auto.offset.reset", "earliest");
        properties.put("enable.auto.commit", "false");
        PrintStream out = new PrintStream(new BufferedOutputStream(System.out, 1 << 16), false, StandardCharsets.UTF_8);
        try (KafkaConsumer<String, String> consumer = new KafkaConsumer<>(properties)) {
            consumer.subscribe(List.of(topic));
            long deadline = System.nanoTime() + Duration.ofSeconds(120).toNanos();
            for (int seen = 0; seen < count; ) {
                if (System.nanoTime() > deadline) throw new IllegalStateException("only " + seen + " records came");
                for (var record : consumer.poll(Duration.ofMillis(500))) {
                    out.print(record.value());
                    out.print('\n');
                    seen++;
                }
            }
            consumer.commitSync();
        }
        out.flush();
    }

    private static void administer(String bootstrap, String topic) throws Exception {
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", bootstrap))) {
            NewTopic created = new NewTopic(topic, Optional.of(3), Optional.empty());
            admin.createTopics(List.of(created)).all().get();
            try {
                admin.createTopics(List.of(created)).all().get();
                throw new IllegalStateException("a topic was created twice");
            } catch (ExecutionException e) {
                if (!(e.getCause() instanceof TopicExistsException)) throw e;
            }
            admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(5))).all().get();
            require(admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic).partitions().size() == 5);
            ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
            AlterConfigOp set = new AlterConfigOp(new ConfigEntry("retention.ms", "12345"), AlterConfigOp.OpType.SET);
            Map<ConfigResource, Collection<AlterConfigOp>> changes = Map.of(resource, List.of(set));
            admin.incrementalAlterConfigs(changes).all().get();
            require(admin.describeConfigs(List.of(resource)).all().get().get(resource).get("retention.ms").value().equals("12345"));
            TopicPartition first = new TopicPartition(topic, 0);
            require(admin.listOffsets(Map.of(first, OffsetSpec.latest())).all().get().get(first).offset() == 0);
            require(!admin.describeCluster().nodes().get().isEmpty());
            admin.describeLogDirs(List.of(admin.describeCluster().controller().get().id())).allDescriptions().get();
            admin.describeFeatures().featureMetadata().get();
            admin.describeMetadataQuorum().quorumInfo().get();
            admin.listGroups().all().get();
            admin.deleteTopics(List.of(topic)).all().get();
        }
    }

    /** A share group is given every record: a third accepted, a third rejected, a third only the second time. */
    private static void share(String bootstrap, String topic) throws Exception {
        int count = 300;
        String group = topic + "-group";
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", bootstrap))) {
            admin.createTopics(List.of(new NewTopic(topic, Optional.of(2), Optional.empty()))).all().get();
            ConfigResource resource = new ConfigResource(ConfigResource.Type.GROUP, group);
            AlterConfigOp set = new AlterConfigOp(new ConfigEntry("share.auto.offset.reset", "earliest"), AlterConfigOp.OpType.SET);
            Map<ConfigResource, Collection<AlterConfigOp>> changes = Map.of(resource, List.of(set));
            admin.incrementalAlterConfigs(changes).all().get();
            try (KafkaProducer<String, String> producer = new KafkaProducer<>(properties(bootstrap))) {
                for (int number = 0; number < count; number++) {
                    producer.send(new ProducerRecord<>(topic, Integer.toString(number), Integer.toString(number)));
                }
            }
            int[] deliveries = new int[count];
            Properties properties = properties(bootstrap);
            properties.put("group.id", group);
            properties.put("share.acknowledgement.mode", "explicit");
            try (KafkaShareConsumer<String, String> consumer = new KafkaShareConsumer<>(properties)) {
                consumer.subscribe(List.of(topic));
                long deadline = System.nanoTime() + Duration.ofSeconds(60).toNanos();
                for (int ended = 0; ended < count; ) {
                    if (System.nanoTime() > deadline) throw new IllegalStateException("only " + ended + " records were ended");
                    for (var record : consumer.poll(Duration.ofMillis(500))) {
                        int number = Integer.parseInt(record.value());
                        deliveries[number]++;
                        require(record.deliveryCount().get() == deliveries[number]);
                        boolean isReleased = number % 3 == 2 && deliveries[number] == 1;
                        if (!isReleased) ended++;
                        consumer.acknowledge(record, isReleased ? AcknowledgeType.RELEASE
                            : number % 3 == 1 ? AcknowledgeType.REJECT : AcknowledgeType.ACCEPT);
                    }
                    for (Optional<?> failure : consumer.commitSync().values()) require(failure.isEmpty());
                }
                require(admin.describeShareGroups(List.of(group)).all().get().get(group).members().size() == 1);
            }
            for (int number = 0; number < count; number++) require(deliveries[number] == (number % 3 == 2 ? 2 : 1));
            admin.deleteShareGroups(List.of(group)).all().get();
            admin.deleteTopics(List.of(topic)).all().get();
        }
    }

    /** A group goes from the classic protocol to the new one and back, member by member, and misses nothing. */
    private static void migrate(String bootstrap, String topic) throws Exception {
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", bootstrap))) {
            admin.createTopics(List.of(new NewTopic(topic, Optional.of(6), Optional.empty()))).all().get();
            Member a = new Member(bootstrap, topic, "classic");
            Member b = new Member(bootstrap, topic, "classic");
            until(() -> a.partitions == 3 && b.partitions == 3);
            send(bootstrap, topic, 0, 300);
            Member c = new Member(bootstrap, topic, "consumer");
            until(() -> a.partitions == 2 && b.partitions == 2 && c.partitions == 2);
            require(typeOf(admin, topic) == GroupType.CONSUMER);
            a.end();
            b.end();
            until(() -> c.partitions == 6);
            Member d = new Member(bootstrap, topic, "classic");
            until(() -> c.partitions == 3 && d.partitions == 3);
            c.end();
            until(() -> d.partitions == 6);
            require(typeOf(admin, topic) == GroupType.CLASSIC);
            send(bootstrap, topic, 300, 600);
            until(() -> Member.seen.size() == 600);
            d.end();
            require(Member.deliveries.get() == 600);
            admin.deleteTopics(List.of(topic)).all().get();
        }
    }

    private static GroupType typeOf(Admin admin, String group) throws Exception {
        return admin.listGroups().all().get().stream()
            .filter(listed -> listed.groupId().equals(group)).findFirst().get().type().get();
    }

    private static void send(String bootstrap, String topic, int from, int to) {
        try (KafkaProducer<String, String> producer = new KafkaProducer<>(properties(bootstrap))) {
            for (int number = from; number < to; number++) {
                producer.send(new ProducerRecord<>(topic, number % 6, null, Integer.toString(number)));
            }
        }
    }

    private static void until(Callable<Boolean> holds) throws Exception {
        long deadline = System.nanoTime() + Duration.ofSeconds(40).toNanos();
        while (!holds.call()) {
            if (System.nanoTime() > deadline) throw new IllegalStateException("it does not come");
            Thread.sleep(50);
        }
    }

    /** Reads and commits until it is ended; what it reads is counted for all members together. */
    private static final class Member {
        static final Set<String> seen = ConcurrentHashMap.newKeySet();
        static final AtomicInteger deliveries = new AtomicInteger();
        volatile int partitions;
        private volatile boolean isEnded;
        private final Thread thread;

        Member(String bootstrap, String topic, String protocol) {
            Properties properties = properties(bootstrap);
            properties.put("group.id", topic);
            properties.put("group.protocol", protocol);
            properties.put("auto.offset.reset", "earliest");
            properties.put("enable.auto.commit", "false");
            thread = new Thread(() -> read(properties, topic));
            thread.start();
        }

        private void read(Properties properties, String topic) {
            try (KafkaConsumer<String, String> consumer = new KafkaConsumer<>(properties)) {
                consumer.subscribe(List.of(topic));
                while (!isEnded) {
                    for (var record : consumer.poll(Duration.ofMillis(50))) {
                        seen.add(record.value());
                        deliveries.incrementAndGet();
                    }
                    partitions = consumer.assignment().size();
                    try {
                        consumer.commitSync();
                    } catch (RebalanceInProgressException e) {
                        // The next poll joins, and what was read is committed after it.
                        continue;
                    }
                }
            }
        }

        void end() throws InterruptedException {
            isEnded = true;
            thread.join();
        }
    }

    private static void require(boolean condition) {
        if (!condition) throw new IllegalStateException("not what was expected");
    }
}
