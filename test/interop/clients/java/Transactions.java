import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Random;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;

/**
 * Exactly once with the official client: numbers go from one topic to another in transactions that commit
 * offsets too, some of which are aborted on purpose.
 *
 *     Transactions fill BOOTSTRAP TOPIC COUNT
 *     Transactions copy BOOTSTRAP FROM TO TRANSACTIONAL_ID
 *     Transactions check BOOTSTRAP TOPIC COUNT
 */
public class Transactions {
    private static final int PARTITIONS = 4;

    public static void main(String[] args) throws Exception {
        switch (args[0]) {
            case "fill" -> fill(args[1], args[2], Integer.parseInt(args[3]));
            case "copy" -> copy(args[1], args[2], args[3], args[4]);
            case "check" -> check(args[1], args[2], Integer.parseInt(args[3]));
            default -> throw new IllegalArgumentException(args[0]);
        }
    }

    private static Properties properties(String bootstrap) {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", bootstrap);
        String strings = "org.apache.kafka.common.serialization.String";
        properties.put("key.serializer", strings + "Serializer");
        properties.put("value.serializer", strings + "Serializer");
        properties.put("key.deserializer", strings + "Deserializer");
        properties.put("value.deserializer", strings + "Deserializer");
        properties.put("isolation.level", "read_committed");
        properties.put("auto.offset.reset", "earliest");
        properties.put("enable.auto.commit", "false");
        return properties;
    }

    private static void fill(String bootstrap, String topic, int count) throws Exception {
        try (Admin admin = Admin.create(properties(bootstrap))) {
            admin.createTopics(List.of(
                new NewTopic(topic, PARTITIONS, (short) 1),
                new NewTopic(topic + "-copy", PARTITIONS, (short) 1))).all().get();
        }
        try (KafkaProducer<String, String> producer = new KafkaProducer<>(properties(bootstrap))) {
            for (int number = 0; number < count; number++)
                producer.send(new ProducerRecord<>(topic, Integer.toString(number), Integer.toString(number)));
        }
    }

    private static void copy(String bootstrap, String from, String to, String transactionalId) {
        Properties consuming = properties(bootstrap);
        consuming.put("group.id", "copy-" + from);
        consuming.put("session.timeout.ms", "6000");
        consuming.put("max.poll.records", "100");
        Properties producing = properties(bootstrap);
        producing.put("transactional.id", transactionalId);
        producing.put("transaction.timeout.ms", "10000");
        producing.put("linger.ms", "1");
        producing.put("batch.size", "256");
        Random random = new Random();
        try (KafkaConsumer<String, String> consumer = new KafkaConsumer<>(consuming);
             KafkaProducer<String, String> producer = new KafkaProducer<>(producing)) {
            producer.initTransactions();
            consumer.subscribe(List.of(from));
            int transactions = 0;
            for (;;) {
                ConsumerRecords<String, String> records = consumer.poll(Duration.ofMillis(1000));
                if (records.isEmpty()) {
                    if (isCopied(consumer, from)) break;
                    continue;
                }
                transactions++;
                try {
                    producer.beginTransaction();
                    Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
                    for (ConsumerRecord<String, String> record : records) {
                        producer.send(new ProducerRecord<>(to, record.key(), record.value()));
                        offsets.put(new TopicPartition(record.topic(), record.partition()),
                            new OffsetAndMetadata(record.offset() + 1));
                    }
                    producer.sendOffsetsToTransaction(offsets, consumer.groupMetadata());
                    if (random.nextInt(5) == 0) {
                        producer.flush();
                        throw new KafkaException("on purpose");
                    }
                    producer.commitTransaction();
                } catch (KafkaException e) {
                    if (!"on purpose".equals(e.getMessage())) System.out.println("aborting: " + e);
                    producer.abortTransaction();
                    rewind(consumer);
                }
            }
            System.out.println("copied in " + transactions + " transactions");
        }
    }

    private static boolean isCopied(KafkaConsumer<String, String> consumer, String from) {
        Map<TopicPartition, Long> ends = consumer.endOffsets(partitionsOf(from));
        Map<TopicPartition, OffsetAndMetadata> committed = consumer.committed(ends.keySet());
        return ends.entrySet().stream().allMatch(end -> {
            OffsetAndMetadata offset = committed.get(end.getKey());
            return offset != null && offset.offset() >= end.getValue();
        });
    }

    private static Set<TopicPartition> partitionsOf(String topic) {
        return IntStream.range(0, PARTITIONS)
            .mapToObj(index -> new TopicPartition(topic, index))
            .collect(Collectors.toSet());
    }

    private static void rewind(KafkaConsumer<String, String> consumer) {
        Map<TopicPartition, OffsetAndMetadata> committed = consumer.committed(consumer.assignment());
        for (TopicPartition partition : consumer.assignment()) {
            OffsetAndMetadata offset = committed.get(partition);
            if (offset == null) consumer.seekToBeginning(List.of(partition));
            else consumer.seek(partition, offset.offset());
        }
    }

    private static void check(String bootstrap, String topic, int count) {
        int[] seen = new int[count];
        int total = 0;
        try (KafkaConsumer<String, String> consumer = new KafkaConsumer<>(properties(bootstrap))) {
            Set<TopicPartition> partitions = partitionsOf(topic);
            consumer.assign(partitions);
            Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
            consumer.seekToBeginning(partitions);
            while (partitions.stream().anyMatch(one -> consumer.position(one) < ends.get(one))) {
                for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(200))) {
                    seen[Integer.parseInt(record.value())]++;
                    total++;
                }
            }
        }
        int missing = 0;
        int doubled = 0;
        for (int times : seen) {
            if (times == 0) missing++;
            if (times > 1) doubled++;
        }
        System.out.println(total + " records, " + missing + " missing, " + doubled + " doubled");
        if (missing + doubled > 0) System.exit(1);
    }
}
