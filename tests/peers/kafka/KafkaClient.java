import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.*;
import java.util.concurrent.ExecutionException;
import java.util.stream.IntStream;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.*;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.serialization.*;

/**
 * Kafka's own Java client: KafkaClient ADDRESS SASL_ADDRESS ID SCENARIO...
 *
 * Its log on stdout has a line for each request and each answer. Lines of ours begin with "# ": "# held" when the
 * scenario `hold` waits for a line on stdin. Every client's id begins with ID-SCENARIO, and so does every topic.
 */
public class KafkaClient {
    static final Duration BRIEF = Duration.ofMillis(100);
    static final Duration PATIENCE = Duration.ofSeconds(20);
    static String address, saslAddress, name;

    public static void main(String[] args) throws Exception {
        address = args[0];
        saslAddress = args[1];
        for (var scenario : Arrays.copyOfRange(args, 3, args.length)) {
            name = args[2] + "-" + scenario;
            var start = System.nanoTime();
            switch (scenario) {
                case "compression" -> compression();
                case "acks" -> acks();
                case "idempotent" -> idempotent();
                case "transaction" -> transaction();
                case "classic" -> group("classic");
                case "consumer" -> group("consumer");
                case "admin" -> admin();
                case "errors" -> errors();
                case "large" -> large();
                case "pipeline" -> pipeline();
                case "sasl" -> sasl();
                case "hold" -> hold();
                default -> throw new IllegalArgumentException("no scenario " + scenario);
            }
            System.out.println("# did " + scenario + " in " + (System.nanoTime() - start) / 1_000_000 + " ms");
        }
    }

    // === Scenarios ===

    static void compression() throws Exception {
        create(name, 1, Map.of());
        for (var kind : List.of("none", "gzip", "snappy", "lz4", "zstd")) {
            // They go as one batch.
            try (var producer = producer(kind, Map.of("compression.type", kind, "linger.ms", 50))) {
                IntStream.range(0, 20).forEach(at -> producer.send(record(name, at)));
                producer.flush();
            }
        }
        read("reader", 100);
    }

    static void acks() throws Exception {
        create(name, 1, Map.of());
        for (var acks : List.of("0", "1", "all")) {
            try (var producer = producer(acks, Map.of("acks", acks, "enable.idempotence", false))) {
                for (int at = 0; at < 10; at++) {
                    producer.send(record(name, at)).get();
                }
            }
        }
    }

    static void idempotent() throws Exception {
        create(name, 3, Map.of());
        try (var producer = producer("producer", Map.of("acks", "all", "enable.idempotence", true))) {
            for (int at = 0; at < 20; at++) {
                producer.send(record(name, at)).get();
            }
        }
    }

    static void transaction() throws Exception {
        create(name, 2, Map.of());
        var transactional = Map.<String, Object>of("transactional.id", name);
        try (var producer = producer("producer", transactional); var consumer = consumer("member", "classic")) {
            producer.initTransactions();
            producer.beginTransaction();
            IntStream.range(0, 10).forEach(at -> producer.send(record(name, at)));
            producer.commitTransaction();

            producer.beginTransaction();
            producer.send(record(name, 10)).get();
            producer.abortTransaction();

            consumer.subscribe(List.of(name));
            poll(10, List.of(consumer));
            producer.beginTransaction();
            producer.send(record(name, 11));
            producer.sendOffsetsToTransaction(offsets(consumer), consumer.groupMetadata());
            producer.commitTransaction();

            // Another with its id puts an end to it.
            try (var second = producer("second", transactional)) {
                second.initTransactions();
                second.beginTransaction();
                second.send(record(name, 12)).get();
                second.commitTransaction();
            }
            fails("fenced", () -> {
                producer.beginTransaction();
                producer.send(record(name, 13)).get();
            });
        }
    }

    /** Two members share four partitions; one leaves. */
    static void group(String protocol) throws Exception {
        create(name, 4, Map.of());
        try (var producer = producer("producer", Map.of()); var first = consumer("first", protocol)) {
            first.subscribe(List.of(name));
            until(first, 4, List.of(first));
            try (var second = consumer("second", protocol)) {
                second.subscribe(List.of(name));
                until(second, 2, List.of(first, second));
                IntStream.range(0, 40).forEach(at -> producer.send(record(name, at)));
                producer.flush();
                poll(40, List.of(first, second));
                first.commitSync();
                second.commitSync();
            }
            until(first, 4, List.of(first));
            for (int at = 0; at < 10; at++) {
                producer.send(record(name, at)).get();
            }
            poll(10, List.of(first));
            first.commitSync();
        }
    }

    static void admin() throws Exception {
        try (var admin = Admin.create(settings(name + "-admin", Map.of()))) {
            admin.describeCluster().nodes().get();
            admin.describeFeatures().featureMetadata().get();
            var topics = List.of(name + "-a", name + "-b", name + "-c");
            admin.createTopics(topics.stream().map(topic -> new NewTopic(topic, 2, (short) 1)).toList()).all().get();
            admin.listTopics().names().get();
            admin.describeTopics(topics).allTopicNames().get();
            var resource = new ConfigResource(ConfigResource.Type.TOPIC, topics.get(0));
            admin.describeConfigs(List.of(resource, new ConfigResource(ConfigResource.Type.BROKER, "1"))).all().get();
            var retain = new AlterConfigOp(new ConfigEntry("retention.ms", "60000"), AlterConfigOp.OpType.SET);
            admin.incrementalAlterConfigs(Map.of(resource, List.of(retain))).all().get();
            admin.createPartitions(Map.of(topics.get(1), NewPartitions.increaseTo(3))).all().get();
            var partition = new TopicPartition(topics.get(0), 0);
            admin.listOffsets(Map.of(partition, OffsetSpec.latest())).all().get();
            admin.listOffsets(Map.of(partition, OffsetSpec.earliest())).all().get();
            admin.deleteRecords(Map.of(partition, RecordsToDelete.beforeOffset(0))).all().get();
            admin.describeLogDirs(List.of(1)).allDescriptions().get();
            admin.describeProducers(List.of(partition)).all().get();
            admin.listGroups().all().get();
            admin.listTransactions().all().get();
            admin.describeUserScramCredentials().all().get();
            admin.deleteTopics(topics).all().get();
        }
    }

    static void errors() throws Exception {
        create(name, 1, Map.of());
        try (var admin = Admin.create(settings(name + "-admin", Map.of()))) {
            var topic = new NewTopic(name, 1, (short) 1);
            fails("exists", () -> admin.createTopics(List.of(topic)).all().get());
            fails("bad name", () -> admin.createTopics(List.of(new NewTopic("bad name!", 1, (short) 1))).all().get());
            fails("replicas", () -> admin.createTopics(List.of(new NewTopic(name + "-r", 1, (short) 3))).all().get());
            fails("no topic", () -> admin.deleteTopics(List.of(name + "-none")).all().get());
            fails("no group", () -> admin.deleteConsumerGroups(List.of(name + "-none")).all().get());
            fails("no group", () -> admin.describeConsumerGroups(List.of(name + "-none")).all().get());
            fails("beyond", () -> admin.deleteRecords(Map.of(new TopicPartition(name, 0),
                RecordsToDelete.beforeOffset(1000))).all().get());
        }
        try (var producer = producer("none", Map.of("max.block.ms", 1000))) {
            fails("no topic", () -> producer.send(record(name + "-none", 1)).get());
        }
        // The client would keep it to itself at its own limit.
        var unlimited = Map.<String, Object>of("max.request.size", 8 << 20, "buffer.memory", 16 << 20);
        try (var producer = producer("large", unlimited)) {
            fails("too large", () -> producer.send(new ProducerRecord<>(name, text(1_100_000))).get());
        }
        try (var consumer = consumer("beyond", "classic", Map.of("auto.offset.reset", "none"))) {
            var partition = new TopicPartition(name, 0);
            consumer.assign(List.of(partition));
            consumer.seek(partition, 1000);
            fails("offset", () -> {
                while (true) {
                    consumer.poll(PATIENCE);
                }
            });
        }
    }

    /** Records of 5 MB, which the broker sends each as one answer. */
    static void large() throws Exception {
        create(name, 1, Map.of("max.message.bytes", "10485760"));
        var unlimited = Map.<String, Object>of("max.request.size", 8 << 20, "buffer.memory", 16 << 20);
        try (var producer = producer("producer", unlimited)) {
            for (int at = 0; at < 3; at++) {
                producer.send(new ProducerRecord<>(name, "large" + at, text(5_000_000))).get();
                producer.send(record(name, at)).get();
            }
        }
        read("reader", 6);
    }

    /** As much at once as an ordered producer may have: five requests, of one record each. */
    static void pipeline() throws Exception {
        create(name, 1, Map.of());
        var settings = Map.<String, Object>of("max.in.flight.requests.per.connection", 5, "batch.size", 0);
        try (var producer = producer("producer", settings)) {
            IntStream.range(0, 1000).forEach(at -> producer.send(record(name, at)));
            producer.flush();
        }
    }

    static void sasl() throws Exception {
        create(name, 1, Map.of());
        var ways = Map.of(
            "PLAIN", "org.apache.kafka.common.security.plain.PlainLoginModule required "
                + "username=\"tester\" password=\"tester-password\";",
            "SCRAM-SHA-256", "org.apache.kafka.common.security.scram.ScramLoginModule required "
                + "username=\"scrammer\" password=\"scrammer-password\";");
        for (var mechanism : List.of("PLAIN", "SCRAM-SHA-256")) {
            try (var producer = producer(mechanism, secured(mechanism, ways.get(mechanism)))) {
                for (int at = 0; at < 5; at++) {
                    producer.send(record(name, at)).get();
                }
            }
            var wrong = secured(mechanism, ways.get(mechanism).replace("-password", "-wrong"));
            try (var admin = Admin.create(settings(name + "-wrong-" + mechanism, wrong))) {
                fails("password", () -> admin.describeCluster().nodes().get());
            }
        }
    }

    /** Ten calls after each line on stdin, on one connection; the end of stdin lets go. */
    static void hold() throws Exception {
        create(name, 1, Map.of());
        try (var producer = producer("producer", Map.of())) {
            do {
                for (int at = 0; at < 10; at++) {
                    producer.send(record(name, at)).get();
                }
                System.out.println("# held");
            } while (System.in.read() >= 0);
        }
    }

    // === What they share ===

    static Map<String, Object> settings(String client, Map<String, Object> more) {
        var settings = new HashMap<String, Object>(Map.of("bootstrap.servers", address, "client.id", client));
        settings.putAll(more);
        return settings;
    }

    static Map<String, Object> secured(String mechanism, String login) {
        return Map.of("bootstrap.servers", saslAddress, "security.protocol", "SASL_PLAINTEXT",
            "sasl.mechanism", mechanism, "sasl.jaas.config", login);
    }

    static KafkaProducer<String, String> producer(String client, Map<String, Object> more) {
        var text = new StringSerializer();
        return new KafkaProducer<>(settings(name + "-" + client, more), text, text);
    }

    static KafkaConsumer<String, String> consumer(String client, String protocol) {
        return consumer(client, protocol, Map.of("auto.offset.reset", "earliest"));
    }

    static KafkaConsumer<String, String> consumer(String client, String protocol, Map<String, Object> more) {
        var settings = settings(name + "-" + client, more);
        settings.putAll(Map.of("group.id", name, "group.protocol", protocol, "enable.auto.commit", false,
            "metadata.max.age.ms", 1000, "isolation.level", "read_committed"));
        var text = new StringDeserializer();
        return new KafkaConsumer<>(settings, text, text);
    }

    static ProducerRecord<String, String> record(String topic, int at) {
        var record = new ProducerRecord<>(topic, "key" + at, "value " + at + " " + text(40));
        record.headers().add("trace", ("id" + at).getBytes(StandardCharsets.UTF_8));
        return record;
    }

    static String text(int length) {
        return "abcdefgh".repeat(length / 8);
    }

    static void create(String topic, int partitions, Map<String, String> configs) throws Exception {
        try (var admin = Admin.create(settings(name + "-setup", Map.of()))) {
            admin.createTopics(List.of(new NewTopic(topic, partitions, (short) 1).configs(configs))).all().get();
        }
    }

    static void read(String client, int records) {
        try (var consumer = consumer(client, "classic")) {
            consumer.assign(List.of(new TopicPartition(name, 0)));
            poll(records, List.of(consumer));
        }
    }

    /** Polls in turn until that many records came. */
    static void poll(int records, List<KafkaConsumer<String, String>> consumers) {
        until("records", () -> false, consumers, records);
    }

    /** Polls in turn until that one has as many partitions. */
    static void until(KafkaConsumer<?, ?> consumer, int partitions, List<KafkaConsumer<String, String>> consumers) {
        until("partitions", () -> consumer.assignment().size() == partitions, consumers, Integer.MAX_VALUE);
    }

    static void until(String what, java.util.function.BooleanSupplier enough,
            List<KafkaConsumer<String, String>> consumers, int records) {
        var end = System.nanoTime() + PATIENCE.toNanos();
        for (int got = 0; got < records && !enough.getAsBoolean();) {
            for (var consumer : consumers) {
                got += consumer.poll(BRIEF).count();
            }
            if (System.nanoTime() > end) {
                throw new IllegalStateException(name + ": waited in vain for " + what + ", got " + got);
            }
        }
    }

    static Map<TopicPartition, OffsetAndMetadata> offsets(KafkaConsumer<?, ?> consumer) {
        var offsets = new HashMap<TopicPartition, OffsetAndMetadata>();
        consumer.assignment().forEach(at -> offsets.put(at, new OffsetAndMetadata(consumer.position(at))));
        return offsets;
    }

    interface Action {
        void run() throws Exception;
    }

    static void fails(String what, Action action) throws Exception {
        try {
            action.run();
        } catch (KafkaException | ExecutionException error) {
            System.out.println("# " + what + ": " + error.getMessage());
            return;
        }
        throw new IllegalStateException(what + " should have failed");
    }
}
