// Prints messages of every version of every Kafka api as JSON lines, encoded by the generated classes of the
// kafka-clients jar on the class path: the decoder's golden round trip. The one argument is a seed; the same seed and
// jar give the same lines.
//
//   mvn -q -f pom.xml dependency:copy-dependencies -DoutputDirectory=DIR -Dkafka.version=4.1.0
//   java -cp 'DIR/*' MakeGolden.java 1 > golden.jsonl
//
// A line has: key, version, direction ("request" or "response"), variant (see Variant), header (its version),
// correlation_id, client_id (null in responses), hex (header and body, without the length before them) and body, as
// Kafka's own JSON converter writes it: camelCase names, bytes and uuids in base64. If the message has records fields,
// "records" lists them in order: null, or the list of records as Kafka reads them back from the batches.
//
// Ends with exit code 1 if a (key, version, direction) could not be made; the count is on stderr.

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.PrintStream;
import java.lang.reflect.Field;
import java.lang.reflect.ParameterizedType;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HexFormat;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.TreeMap;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.message.ApiMessageType;
import org.apache.kafka.common.message.RequestHeaderData;
import org.apache.kafka.common.message.ResponseHeaderData;
import org.apache.kafka.common.protocol.ApiMessage;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.MessageSizeAccumulator;
import org.apache.kafka.common.protocol.ObjectSerializationCache;
import org.apache.kafka.common.protocol.types.Schema;
import org.apache.kafka.common.protocol.types.TaggedFields;
import org.apache.kafka.common.protocol.types.Type;
import org.apache.kafka.common.record.BaseRecords;
import org.apache.kafka.common.record.CompressionType;
import org.apache.kafka.common.record.MemoryRecords;
import org.apache.kafka.common.record.Record;
import org.apache.kafka.common.record.RecordBatch;
import org.apache.kafka.common.record.TimestampType;

public class MakeGolden {
    enum Variant {
        /** Nothing null or empty, tagged fields not at their defaults (Kafka leaves those out). */
        FULL,
        /** Null where allowed, else empty arrays, strings, bytes and records. */
        EMPTY,
        MIXED,
    }

    static final JsonNodeFactory JSON = JsonNodeFactory.instance;
    static final PrintStream OUT = new PrintStream(System.out, false, StandardCharsets.UTF_8);

    public static void main(String[] args) throws Exception {
        long seed = Long.parseLong(args[0]);
        int existing = 0;
        int covered = 0;
        for (ApiMessageType api : ApiMessageType.values()) {
            if (api.lowestSupportedVersion() > api.highestSupportedVersion(true)) {
                continue; // A dropped api: only its key is left.
            }
            for (boolean request : new boolean[] {true, false}) {
                Schema[] schemas = request ? api.requestSchemas() : api.responseSchemas();
                for (short version = 0; version < schemas.length; version++) {
                    if (schemas[version] == null) {
                        continue;
                    }
                    existing++;
                    try {
                        for (Variant variant : Variant.values()) {
                            OUT.println(line(seed, api, request, version, schemas[version], variant));
                        }
                        covered++;
                    } catch (Exception e) {
                        System.err.println(api.name + (request ? " request " : " response ") + version + ": " + e);
                    }
                }
            }
        }
        OUT.flush();
        System.err.println(existing + " combinations of key, version and direction, " + covered + " covered");
        System.exit(covered == existing ? 0 : 1);
    }

    static ObjectNode line(
            long seed, ApiMessageType api, boolean request, short version, Schema schema, Variant variant)
            throws Exception {
        // Each line has its own seed, so that it stays the same when other releases have other apis.
        Random random = new Random(Objects.hash(seed, api.apiKey(), version, request, variant.ordinal()));
        Filler filler = new Filler(random, variant, version, new Batches(random, api, variant, version));
        ApiMessage message = request ? api.newRequest() : api.newResponse();
        filler.fill(message, schema);

        int correlation = random.nextInt();
        String client = request && random.nextInt(3) > 0 ? filler.string() : null;
        short headerVersion = request ? api.requestHeaderVersion(version) : api.responseHeaderVersion(version);
        if (headerVersion == 0) {
            client = null;
        }
        ApiMessage header = request
            ? new RequestHeaderData().setRequestApiKey(api.apiKey()).setRequestApiVersion(version)
                .setCorrelationId(correlation).setClientId(client)
            : new ResponseHeaderData().setCorrelationId(correlation);

        ObjectNode line = JSON.objectNode();
        line.put("key", api.apiKey());
        line.put("version", version);
        line.put("direction", request ? "request" : "response");
        line.put("variant", variant.name().toLowerCase());
        line.put("header", headerVersion);
        line.put("correlation_id", correlation);
        line.put("client_id", client);
        line.put("hex", hex(encode(header, headerVersion)) + hex(encode(message, version)));
        Class<?> converter = Class.forName(message.getClass().getName() + "JsonConverter");
        line.set("body", (JsonNode) converter.getMethod("write", message.getClass(), short.class, boolean.class)
            .invoke(null, message, version, true));
        if (!filler.records.isEmpty()) {
            line.set("records", filler.records);
        }
        return line;
    }

    static ByteBuffer encode(Message message, short version) {
        ObjectSerializationCache cache = new ObjectSerializationCache();
        ByteBuffer buffer = ByteBuffer.allocate(message.size(cache, version));
        message.write(new ByteBufferAccessor(buffer), cache, version);
        return buffer.flip();
    }

    static String hex(ByteBuffer buffer) {
        byte[] bytes = new byte[buffer.remaining()];
        buffer.duplicate().get(bytes);
        return HexFormat.of().formatHex(bytes);
    }

    /** Sets the fields of a generated message, those of its schema in the schema's order, which is the wire's. */
    static class Filler {
        static final String[] ALPHABET = {"a", "b", "-", "7", "é", "日", "😀"};

        final Random random;
        final Variant variant;
        final short version;
        final Batches batches;
        final ArrayNode records = JSON.arrayNode();

        Filler(Random random, Variant variant, short version, Batches batches) {
            this.random = random;
            this.variant = variant;
            this.version = version;
            this.batches = batches;
        }

        void fill(Message struct, Schema schema) throws ReflectiveOperationException {
            for (var bound : schema.fields()) {
                if (bound.def.type instanceof TaggedFields tagged) {
                    for (var def : taggedFields(tagged).values()) {
                        fillTagged(struct, javaField(struct, def.name), def.type);
                    }
                } else {
                    Field field = javaField(struct, bound.def.name);
                    field.set(struct, fieldValue(struct, field, bound.def.type));
                }
            }
        }

        void fillTagged(Message struct, Field field, Type type) throws ReflectiveOperationException {
            Object standard = field.get(struct);
            Object value = fieldValue(struct, field, type);
            while (variant == Variant.FULL && Objects.deepEquals(value, standard)) {
                value = fieldValue(struct, field, type);
            }
            field.set(struct, value);
        }

        Object fieldValue(Message struct, Field field, Type type) throws ReflectiveOperationException {
            boolean wantsNull = variant == Variant.EMPTY || variant == Variant.MIXED && random.nextInt(3) == 0;
            if (wantsNull && takesNull(struct.getClass(), field, type)) {
                if (field.getType() == BaseRecords.class) {
                    records.addNull();
                }
                return null;
            }
            return value(type, field.getGenericType());
        }

        Object value(Type type, java.lang.reflect.Type java) throws ReflectiveOperationException {
            if (type instanceof Schema schema) {
                Message struct = (Message) ((Class<?>) java).getConstructor().newInstance();
                fill(struct, schema);
                return struct;
            }
            if (type.isArray()) {
                return array(type.arrayElementType().get(), java);
            }
            if (java == String.class) {
                return string();
            } else if (java == byte[].class) {
                return bytes();
            } else if (java == ByteBuffer.class) {
                return ByteBuffer.wrap(bytes());
            } else if (java == BaseRecords.class) {
                MemoryRecords made = batches.make(count());
                records.add(Batches.json(made));
                return made;
            } else if (java == Uuid.class) {
                return new Uuid(random.nextLong(), random.nextLong());
            } else if (type == Type.BOOLEAN) {
                return random.nextBoolean();
            } else if (type == Type.INT8) {
                return (byte) random.nextInt();
            } else if (type == Type.INT16) {
                return (short) random.nextInt();
            } else if (type == Type.UINT16) {
                return random.nextInt(1 << 16);
            } else if (type == Type.INT32) {
                return random.nextInt();
            } else if (type == Type.UNSIGNED_INT32) {
                return random.nextLong(1L << 32);
            } else if (type == Type.INT64) {
                return random.nextLong();
            } else if (type == Type.FLOAT64) {
                return random.nextGaussian();
            }
            throw new IllegalArgumentException(type + " as " + java);
        }

        /** Field types of arrays are List<E>, or for elements with a map key a class that extends Collection<E>. */
        @SuppressWarnings("unchecked")
        Collection<Object> array(Type element, java.lang.reflect.Type java) throws ReflectiveOperationException {
            Collection<Object> array;
            ParameterizedType generic;
            if (java instanceof ParameterizedType list) {
                array = new ArrayList<>();
                generic = list;
            } else {
                array = (Collection<Object>) ((Class<?>) java).getConstructor().newInstance();
                generic = (ParameterizedType) ((Class<?>) java).getGenericSuperclass();
            }
            int count = count();
            if (element == Type.INT32 && variant == Variant.MIXED && random.nextInt(10) == 0) {
                count = 200; // So that a compact count takes two bytes.
            }
            for (int i = 0; i < count; i++) {
                array.add(value(element, generic.getActualTypeArguments()[0]));
            }
            return array;
        }

        int count() {
            return switch (variant) {
                case FULL -> 1 + random.nextInt(2);
                case EMPTY -> 0;
                case MIXED -> random.nextInt(4);
            };
        }

        String string() {
            StringBuilder text = new StringBuilder();
            for (int i = length(); i > 0; i--) {
                text.append(ALPHABET[random.nextInt(ALPHABET.length)]);
            }
            return text.toString();
        }

        byte[] bytes() {
            byte[] bytes = new byte[length()];
            random.nextBytes(bytes);
            return bytes;
        }

        /** Sometimes one whose compact form takes two bytes. */
        int length() {
            return count() * (1 + random.nextInt(random.nextInt(10) == 0 ? 100 : 8));
        }

        /** Schemas of these releases don't tell for structs, but a generated class sizes null only where it may be. */
        boolean takesNull(Class<?> struct, Field field, Type type) throws ReflectiveOperationException {
            if (!(type instanceof Schema) && field.getType() != BaseRecords.class) {
                return type.isNullable();
            }
            Message probe = (Message) struct.getConstructor().newInstance();
            for (Field other : struct.getDeclaredFields()) {
                if (other.getType() == BaseRecords.class) {
                    other.setAccessible(true);
                    other.set(probe, MemoryRecords.EMPTY);
                }
            }
            field.set(probe, null);
            try {
                probe.addSize(new MessageSizeAccumulator(), new ObjectSerializationCache(), version);
                return true;
            } catch (NullPointerException e) {
                return false;
            }
        }

        static Field javaField(Message struct, String name) {
            Field field = Arrays.stream(struct.getClass().getDeclaredFields())
                .filter(f -> f.getName().equalsIgnoreCase(name.replace("_", "")))
                .findFirst().orElseThrow();
            field.setAccessible(true);
            return field;
        }

        /** By tag. Kafka 3.9 has no public method for them. */
        @SuppressWarnings("unchecked")
        static TreeMap<Integer, org.apache.kafka.common.protocol.types.Field> taggedFields(TaggedFields tagged)
                throws ReflectiveOperationException {
            Field fields = TaggedFields.class.getDeclaredField("fields");
            fields.setAccessible(true);
            return new TreeMap<>((Map<Integer, org.apache.kafka.common.protocol.types.Field>) fields.get(tagged));
        }
    }

    /** Makes small record batches, of each compression in turn. */
    static class Batches {
        final Random random;
        final byte newestMagic;
        final boolean mixed;
        int turn;

        Batches(Random random, ApiMessageType api, Variant variant, short version) {
            this.random = random;
            // Produce 2 and Fetch 2 came with format 1, Produce 3 and Fetch 4 with format 2.
            newestMagic = (byte) switch (api) {
                case PRODUCE -> version < 2 ? 0 : version < 3 ? 1 : 2;
                case FETCH -> version < 2 ? 0 : version < 4 ? 1 : 2;
                default -> 2;
            };
            // A log may still hold batches of older formats.
            mixed = api == ApiMessageType.FETCH && variant == Variant.MIXED;
            turn = 3 * version + variant.ordinal();
        }

        MemoryRecords make(int batches) {
            ByteBuffer buffer = ByteBuffer.allocate(1 << 16);
            long offset = random.nextInt(1_000_000);
            for (int i = 0; i < batches; i++) {
                offset += append(mixed ? (byte) random.nextInt(newestMagic + 1) : newestMagic, offset, buffer);
            }
            return MemoryRecords.readableRecords(buffer.flip());
        }

        int append(byte magic, long offset, ByteBuffer buffer) {
            // zstd, the last, came later than formats 0 and 1.
            CompressionType type = CompressionType.forId(turn++ % (magic < 2 ? 4 : 5));
            boolean appendTime = magic > 0 && random.nextInt(3) == 0;
            long now = 1_700_000_000_000L + random.nextInt(1_000_000_000);
            boolean idempotent = magic == 2 && random.nextBoolean();
            int count = 1 + random.nextInt(3);
            ByteBuffer batch = ByteBuffer.allocate(1 << 14);
            try (var builder = MemoryRecords.builder(
                    batch, magic, Compression.of(type).build(),
                    appendTime ? TimestampType.LOG_APPEND_TIME : TimestampType.CREATE_TIME, offset, now,
                    idempotent ? random.nextInt(1000) : RecordBatch.NO_PRODUCER_ID,
                    idempotent ? (short) random.nextInt(100) : RecordBatch.NO_PRODUCER_EPOCH,
                    idempotent ? random.nextInt(1000) : RecordBatch.NO_SEQUENCE,
                    idempotent && random.nextBoolean(), RecordBatch.NO_PARTITION_LEADER_EPOCH)) {
                for (int i = 0; i < count; i++) {
                    Header[] headers = new Header[magic < 2 ? 0 : random.nextInt(3)];
                    for (int h = 0; h < headers.length; h++) {
                        headers[h] = new RecordHeader("header-" + h, bytesOrNull());
                    }
                    builder.append(now + random.nextInt(2000) - 1000, bytesOrNull(), bytesOrNull(), headers);
                }
                buffer.put(builder.build().buffer().duplicate());
            }
            return count;
        }

        byte[] bytesOrNull() {
            if (random.nextInt(4) == 0) {
                return null;
            }
            byte[] bytes = new byte[random.nextInt(random.nextInt(10) == 0 ? 300 : 20)];
            // Few different bytes, so that compressors find something to do.
            for (int i = 0; i < bytes.length; i++) {
                bytes[i] = (byte) ('a' + random.nextInt(3));
            }
            return bytes;
        }

        static ArrayNode json(MemoryRecords records) {
            ArrayNode list = JSON.arrayNode();
            for (Record record : records.records()) {
                ObjectNode node = list.addObject();
                node.put("offset", record.offset());
                node.put("timestamp", record.timestamp());
                node.put("key", record.key() == null ? null : hex(record.key()));
                node.put("value", record.value() == null ? null : hex(record.value()));
                ArrayNode headers = node.putArray("headers");
                for (Header header : record.headers()) {
                    headers.addArray().add(header.key())
                        .add(header.value() == null ? null : HexFormat.of().formatHex(header.value()));
                }
            }
            return list;
        }
    }
}
