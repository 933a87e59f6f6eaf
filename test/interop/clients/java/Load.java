import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.TreeMap;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;

/**
 * Load by the official client, one line of output per event:
 *   Load produce bootstrap=… seconds=N rate=N bytes=N producer=ID,TOPIC,idempotent|plain,CODEC,ACKS,keyed|unkeyed …
 *   Load consume bootstrap=… seconds=N group=G topics=T,…
 *   Load read bootstrap=… topics=T,… groups=G,…
 */
public class Load {
    private static final StringBuilder out = new StringBuilder();

    public static void main(String[] args) throws Exception {
        Map<String, List<String>> options = new HashMap<>();
        for (String arg : List.of(args).subList(1, args.length)) {
            String[] parts = arg.split("=", 2);
            options.computeIfAbsent(parts[0], name -> new ArrayList<>()).add(parts[1]);
        }
        String bootstrap = options.get("bootstrap").get(0);
        switch (args[0]) {
            case "produce" -> produce(bootstrap, options);
            case "consume" -> consume(bootstrap, options);
            case "read" -> read(bootstrap, options);
            default -> throw new IllegalArgumentException(args[0]);
        }
        flush();
    }

    private static void say(String line) {
        synchronized (out) {
            out.append(line).append('\n');
            if (out.length() > 16_384) flush();
        }
    }

    private static void flush() {
        synchronized (out) {
            if (out.length() == 0) return;
            byte[] bytes = out.toString().getBytes(StandardCharsets.UTF_8);
            out.setLength(0);
            System.out.write(bytes, 0, bytes.length);
            System.out.flush();
        }
    }

    private static long number(Map<String, List<String>> options, String name) {
        return Long.parseLong(options.get(name).get(0));
    }

    private static List<String> list(Map<String, List<String>> options, String name) {
        String text = options.getOrDefault(name, List.of("")).get(0);
        return text.isEmpty() ? List.of() : List.of(text.split(","));
    }

    /** How long acknowledgements took, told once a second. */
    private static final class Latencies {
        private long second;
        private double[] millis = new double[1024];
        private int count;

        synchronized void add(double value) {
            long now = System.currentTimeMillis() / 1000;
            if (now != second) tell();
            second = now;
            if (count == millis.length) millis = Arrays.copyOf(millis, count * 2);
            millis[count++] = value;
        }

        private void tell() {
            if (count == 0) return;
            Arrays.sort(millis, 0, count);
            say(String.format("latency %d %d %.2f %.2f %.2f", second, count, millis[count / 2],
                millis[Math.min(count - 1, count * 99 / 100)], millis[count - 1]));
            count = 0;
        }
    }

    private static Properties clientProperties(String bootstrap) {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", bootstrap);
        properties.put("reconnect.backoff.ms", "50");
        properties.put("reconnect.backoff.max.ms", "500");
        String bytes = "org.apache.kafka.common.serialization.ByteArray";
        properties.put("key.serializer", bytes + "Serializer");
        properties.put("value.serializer", bytes + "Serializer");
        properties.put("key.deserializer", bytes + "Deserializer");
        properties.put("value.deserializer", bytes + "Deserializer");
        return properties;
    }

    private static final class Numbered implements AutoCloseable {
        final String id;
        final String topic;
        final boolean keyed;
        final KafkaProducer<byte[], byte[]> producer;
        final String padding;
        long next;

        Numbered(String bootstrap, String specification, int bytes) {
            String[] parts = specification.split(",");
            id = parts[0];
            topic = parts[1];
            keyed = parts[5].equals("keyed");
            boolean idempotent = parts[2].equals("idempotent");
            Properties properties = clientProperties(bootstrap);
            properties.put("enable.idempotence", Boolean.toString(idempotent));
            // With several requests under way a plain producer's own retries would reorder.
            properties.put("max.in.flight.requests.per.connection", idempotent ? "5" : "1");
            properties.put("compression.type", parts[3]);
            properties.put("acks", parts[4]);
            properties.put("linger.ms", "5");
            properties.put("request.timeout.ms", "10000");
            properties.put("delivery.timeout.ms", "180000");
            properties.put("max.block.ms", "180000");
            producer = new KafkaProducer<>(properties);
            padding = " " + (id + "-padding-").repeat(bytes / (id.length() + 9) + 1).substring(0, bytes);
        }

        void send(Latencies latencies) {
            long n = next++;
            byte[] key = keyed ? Long.toString(n % 17).getBytes(StandardCharsets.UTF_8) : null;
            byte[] value = (id + " " + n + padding).getBytes(StandardCharsets.UTF_8);
            long sentAt = System.nanoTime();
            producer.send(new ProducerRecord<>(topic, key, value), (metadata, exception) -> {
                if (exception != null) {
                    say("fail " + topic + " " + id + " " + n + " " + exception);
                    return;
                }
                long offset = metadata.hasOffset() ? metadata.offset() : -1;
                say("ack " + topic + " " + metadata.partition() + " " + offset + " " + id + " " + n);
                latencies.add((System.nanoTime() - sentAt) / 1e6);
            });
        }

        @Override
        public void close() {
            producer.close(Duration.ofMinutes(3));
            say("sent " + topic + " " + id + " " + next);
        }
    }

    private static void produce(String bootstrap, Map<String, List<String>> options) throws Exception {
        List<Numbered> producers = new ArrayList<>();
        for (String specification : options.get("producer")) {
            producers.add(new Numbered(bootstrap, specification, (int) number(options, "bytes")));
        }
        Latencies latencies = new Latencies();
        double perTick = number(options, "rate") / 50.0;
        long end = System.nanoTime() + Duration.ofSeconds(number(options, "seconds")).toNanos();
        double due = 0;
        while (System.nanoTime() < end) {
            due += perTick;
            for (; due >= 1; due--) for (Numbered producer : producers) producer.send(latencies);
            flush();
            Thread.sleep(20);
        }
        for (Numbered producer : producers) producer.close();
    }

    private static void consume(String bootstrap, Map<String, List<String>> options) {
        String group = options.get("group").get(0);
        Properties properties = clientProperties(bootstrap);
        properties.put("group.id", group);
        properties.put("auto.offset.reset", "earliest");
        properties.put("enable.auto.commit", "false");
        // Between two kills of the broker the group has to notice that a member is gone.
        properties.put("session.timeout.ms", "2000");
        properties.put("heartbeat.interval.ms", "500");
        Map<TopicPartition, Long> expected = new HashMap<>();
        Map<TopicPartition, Long> uncommitted = new TreeMap<>((a, b) -> a.toString().compareTo(b.toString()));
        long end = System.nanoTime() + Duration.ofSeconds(number(options, "seconds")).toNanos();
        try (KafkaConsumer<byte[], byte[]> consumer = new KafkaConsumer<>(properties)) {
            consumer.subscribe(list(options, "topics"), new ConsumerRebalanceListener() {
                @Override
                public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
                    commit(consumer, group, uncommitted);
                    expected.keySet().removeAll(partitions);
                }

                @Override
                public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
                    expected.keySet().removeAll(partitions);
                }

                @Override
                public void onPartitionsLost(Collection<TopicPartition> partitions) {
                    uncommitted.keySet().removeAll(partitions);
                    expected.keySet().removeAll(partitions);
                }
            });
            long commitAt = System.nanoTime();
            while (System.nanoTime() < end) {
                for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(200))) {
                    TopicPartition partition = new TopicPartition(record.topic(), record.partition());
                    String at = group + " " + record.topic() + " " + record.partition() + " ";
                    Long awaited = expected.put(partition, record.offset() + 1);
                    if (awaited == null) say("from " + at + record.offset() + " " + System.currentTimeMillis());
                    else if (awaited != record.offset()) say("gap " + at + awaited + " " + record.offset());
                    uncommitted.put(partition, record.offset() + 1);
                }
                if (System.nanoTime() > commitAt) {
                    commit(consumer, group, uncommitted);
                    commitAt = System.nanoTime() + 500_000_000L;
                }
                flush();
            }
            commit(consumer, group, uncommitted);
        }
    }

    private static void commit(KafkaConsumer<byte[], byte[]> consumer, String group, Map<TopicPartition, Long> offsets) {
        if (offsets.isEmpty()) return;
        Map<TopicPartition, OffsetAndMetadata> wanted = new HashMap<>();
        offsets.forEach((partition, offset) -> wanted.put(partition, new OffsetAndMetadata(offset)));
        try {
            consumer.commitSync(wanted, Duration.ofSeconds(20));
        } catch (KafkaException e) {
            say("uncommitted " + group + " " + e);
            return;
        }
        long now = System.currentTimeMillis();
        offsets.forEach((partition, offset) ->
            say("commit " + group + " " + partition.topic() + " " + partition.partition() + " " + offset + " " + now));
        offsets.clear();
    }

    private static void read(String bootstrap, Map<String, List<String>> options) throws Exception {
        Properties properties = clientProperties(bootstrap);
        try (KafkaConsumer<byte[], byte[]> consumer = new KafkaConsumer<>(properties)) {
            Set<String> topics = Set.copyOf(list(options, "topics"));
            List<TopicPartition> partitions = new ArrayList<>();
            for (String topic : topics) {
                consumer.partitionsFor(topic).forEach(found -> partitions.add(new TopicPartition(topic, found.partition())));
            }
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
            for (var end : ends.entrySet()) {
                say("end " + end.getKey().topic() + " " + end.getKey().partition() + " " + end.getValue());
            }
            while (partitions.stream().anyMatch(partition -> consumer.position(partition) < ends.get(partition))) {
                for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(500))) {
                    String[] parts = new String(record.value(), StandardCharsets.UTF_8).split(" ", 3);
                    say("row " + record.topic() + " " + record.partition() + " " + record.offset() + " " + parts[0] + " " + parts[1]);
                }
            }
        }
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", bootstrap))) {
            for (String group : list(options, "groups")) {
                admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get().forEach((partition, offset) ->
                    say("committed " + group + " " + partition.topic() + " " + partition.partition() + " " + offset.offset()));
            }
        }
    }
}
