import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Random;
import java.util.TreeMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.KTable;
import org.apache.kafka.streams.kstream.Materialized;

/**
 * A Kafka Streams application whose answer can be computed: it counts the words of texts, and joins orders
 * with the customers as they were when the order was made. Every count and every join leaves a record, so
 * that one lost, doubled or out of order shows.
 *
 *     Streams fill BOOTSTRAP TEXTS
 *     Streams run BOOTSTRAP STATE_DIRECTORY PROTOCOL MICROSECONDS_PER_RECORD
 *     Streams check BOOTSTRAP TEXTS TIMES
 */
public class Streams {
    private static final String TEXTS = "texts";
    private static final String ORDERS = "orders";
    private static final String CUSTOMERS = "customers";
    private static final String COUNTS = "word-counts";
    private static final String JOINED = "joined-orders";
    private static final int PARTITIONS = 4;
    private static final long FIRST_TIMESTAMP = 1_700_000_000_000L;
    private static final Duration PATIENCE = Duration.ofMinutes(5);
    /** How long a reader that has all it expects looks for what should not be there. */
    private static final Duration AFTERLOOK = Duration.ofSeconds(2);

    public static void main(String[] args) throws Exception {
        switch (args[0]) {
            case "fill" -> fill(args[1], Integer.parseInt(args[2]));
            case "run" -> run(args[1], args[2], args[3], Integer.parseInt(args[4]));
            case "check" -> check(args[1], Integer.parseInt(args[2]), Integer.parseInt(args[3]));
            default -> throw new IllegalArgumentException(args[0]);
        }
    }

    /** The same at every call: timestamps rise, and are all different. */
    private static List<ProducerRecord<String, String>> inputs(int texts) {
        Random random = new Random(5);
        List<ProducerRecord<String, String>> inputs = new ArrayList<>();
        for (int index = 0; index < texts; index++) {
            long timestamp = FIRST_TIMESTAMP + 10L * index;
            String customer = "customer-" + random.nextInt(150);
            // Some customers leave: an order then finds nobody.
            String version = random.nextInt(8) == 0 ? null : customer + " of " + index;
            if (index % 3 == 0)
                inputs.add(new ProducerRecord<>(CUSTOMERS, null, timestamp, customer, version));
            String buyer = "customer-" + random.nextInt(150);
            inputs.add(new ProducerRecord<>(ORDERS, null, timestamp + 1, buyer, "order-" + index));
            StringBuilder text = new StringBuilder();
            for (int words = 1 + random.nextInt(5); words > 0; words--)
                text.append("word-").append(random.nextInt(1 + random.nextInt(400))).append(' ');
            inputs.add(new ProducerRecord<>(TEXTS, index % PARTITIONS, timestamp + 2, null, text.toString().trim()));
        }
        return inputs;
    }

    private static Properties properties(String bootstrap, String isolation) {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", bootstrap);
        properties.put("isolation.level", isolation);
        properties.put("linger.ms", "20");
        return properties;
    }

    private static void fill(String bootstrap, int texts) throws Exception {
        Properties properties = properties(bootstrap, "read_committed");
        try (Admin admin = Admin.create(properties)) {
            admin.createTopics(List.of(TEXTS, ORDERS, CUSTOMERS, COUNTS, JOINED).stream()
                .map(topic -> new NewTopic(topic, PARTITIONS, (short) 1))
                .toList()).all().get();
        }
        try (KafkaProducer<String, String> producer =
                 new KafkaProducer<>(properties, new StringSerializer(), new StringSerializer())) {
            for (ProducerRecord<String, String> record : inputs(texts)) producer.send(record);
        }
    }

    private static void run(String bootstrap, String directory, String protocol, int pace) throws Exception {
        Properties properties = new Properties();
        properties.put("application.id", "streams-" + protocol);
        properties.put("bootstrap.servers", bootstrap);
        properties.put("processing.guarantee", "exactly_once_v2");
        properties.put("group.protocol", protocol);
        properties.put("state.dir", directory);
        properties.put("default.key.serde", Serdes.StringSerde.class);
        properties.put("default.value.serde", Serdes.StringSerde.class);
        // Every change of a count is an answer of its own.
        properties.put("statestore.cache.max.bytes", "0");
        properties.put("num.stream.threads", "2");
        properties.put("producer.transaction.timeout.ms", "10000");
        // Records are at the broker well before their transaction ends, for kills to come between.
        properties.put("commit.interval.ms", "300");
        properties.put("producer.linger.ms", "2");
        if (protocol.equals("classic")) {
            properties.put("consumer.session.timeout.ms", "3000");
            properties.put("consumer.heartbeat.interval.ms", "500");
        }
        properties.put("consumer.auto.offset.reset", "earliest");
        properties.put("consumer.max.poll.records", "100");
        // The broker comes back within a second or two.
        properties.put("reconnect.backoff.max.ms", "200");
        KafkaStreams streams = new KafkaStreams(topology(pace).build(), properties);
        streams.setUncaughtExceptionHandler(error -> {
            System.err.println("a thread is replaced: " + error);
            return StreamThreadExceptionResponse.REPLACE_THREAD;
        });
        CountDownLatch closed = new CountDownLatch(1);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            streams.close(Duration.ofSeconds(20));
            closed.countDown();
        }));
        streams.start();
        closed.await();
    }

    private static StreamsBuilder topology(int pace) {
        StreamsBuilder builder = new StreamsBuilder();
        builder.<String, String>stream(TEXTS)
            .peek((key, text) -> LockSupport.parkNanos(TimeUnit.MICROSECONDS.toNanos(pace)))
            .flatMapValues(text -> List.of(text.split(" ")))
            .groupBy((key, word) -> word)
            .count(Materialized.as("counts"))
            .toStream()
            .mapValues(String::valueOf)
            .to(COUNTS);
        KTable<String, String> customers = builder.table(CUSTOMERS, Materialized.as("customers"));
        builder.<String, String>stream(ORDERS)
            .peek((key, order) -> LockSupport.parkNanos(TimeUnit.MICROSECONDS.toNanos(pace)))
            .leftJoin(customers, Streams::joined)
            .to(JOINED);
        return builder;
    }

    private static String joined(String order, String customer) {
        return order + " by " + customer;
    }

    /** Exits with 1 unless each key has exactly its answers in their order, `times` times over. */
    private static void check(String bootstrap, int texts, int times) {
        Map<String, List<String>> counts = new TreeMap<>();
        Map<String, List<String>> joins = new TreeMap<>();
        for (int time = 0; time < times; time++) {
            Map<String, Integer> count = new HashMap<>();
            Map<String, String> customers = new HashMap<>();
            for (ProducerRecord<String, String> input : inputs(texts)) {
                switch (input.topic()) {
                    case TEXTS -> {
                        for (String word : input.value().split(" "))
                            add(counts, word, count.merge(word, 1, Integer::sum).toString());
                    }
                    case CUSTOMERS -> customers.put(input.key(), input.value());
                    default -> add(joins, input.key(), joined(input.value(), customers.get(input.key())));
                }
            }
        }
        boolean isExact = isFound(bootstrap, COUNTS, counts) & isFound(bootstrap, JOINED, joins);
        System.exit(isExact ? 0 : 1);
    }

    private static void add(Map<String, List<String>> answers, String key, String answer) {
        answers.computeIfAbsent(key, unseen -> new ArrayList<>()).add(answer);
    }

    private static boolean isFound(String bootstrap, String topic, Map<String, List<String>> expected) {
        int size = expected.values().stream().mapToInt(List::size).sum();
        Map<String, List<String>> found = committed(bootstrap, topic, size);
        int got = found.values().stream().mapToInt(List::size).sum();
        String difference = expected.equals(found) ? "all exact" : firstDifference(expected, found);
        System.out.println(topic + ": " + got + " of " + size + ", " + difference
            + ", aborted " + (uncommitted(bootstrap, topic) - got));
        return expected.equals(found);
    }

    private static String firstDifference(Map<String, List<String>> expected, Map<String, List<String>> found) {
        Map<String, List<String>> all = new TreeMap<>(expected);
        found.forEach(all::putIfAbsent);
        for (String key : all.keySet()) {
            List<String> wanted = expected.getOrDefault(key, List.of());
            List<String> got = found.getOrDefault(key, List.of());
            if (wanted.equals(got)) continue;
            int at = 0;
            while (at < wanted.size() && at < got.size() && wanted.get(at).equals(got.get(at))) at++;
            return key + " differs at " + at + " of " + wanted.size() + ": "
                + got.subList(Math.max(0, at - 1), Math.min(got.size(), at + 3));
        }
        return "nothing differs";
    }

    private static List<TopicPartition> partitionsOf(KafkaConsumer<String, String> consumer, String topic) {
        return consumer.partitionsFor(topic).stream()
            .map(partition -> new TopicPartition(topic, partition.partition()))
            .toList();
    }

    private static KafkaConsumer<String, String> reader(String bootstrap, String topic, String isolation) {
        KafkaConsumer<String, String> consumer = new KafkaConsumer<>(
            properties(bootstrap, isolation), new StringDeserializer(), new StringDeserializer());
        consumer.assign(partitionsOf(consumer, topic));
        consumer.seekToBeginning(consumer.assignment());
        return consumer;
    }

    /** Waits for `size` records, and then for more. */
    private static Map<String, List<String>> committed(String bootstrap, String topic, int size) {
        Map<String, List<String>> found = new TreeMap<>();
        int got = 0;
        long deadline = System.nanoTime() + PATIENCE.toNanos();
        boolean isComplete = false;
        try (KafkaConsumer<String, String> consumer = reader(bootstrap, topic, "read_committed")) {
            while (System.nanoTime() < deadline) {
                for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(200))) {
                    add(found, record.key(), record.value());
                    got++;
                }
                if (got >= size && !isComplete) {
                    isComplete = true;
                    deadline = System.nanoTime() + AFTERLOOK.toNanos();
                }
            }
        }
        return found;
    }

    /** How many records there are, those of aborted transactions among them. */
    private static int uncommitted(String bootstrap, String topic) {
        int got = 0;
        try (KafkaConsumer<String, String> consumer = reader(bootstrap, topic, "read_uncommitted")) {
            Map<TopicPartition, Long> ends = consumer.endOffsets(consumer.assignment());
            while (ends.entrySet().stream().anyMatch(end -> consumer.position(end.getKey()) < end.getValue()))
                got += consumer.poll(Duration.ofMillis(200)).count();
        }
        return got;
    }
}
