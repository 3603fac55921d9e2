// Prints every message of the Kafka protocol as a text table, read by reflection from the kafka-clients jar on the
// class path. Tables given as arguments are merged in: they add the versions, apis and errors that this jar no longer
// has. Where both have a version the jar's own text stays, and a difference is reported on stderr.
//
//   mvn -q -f pom.xml dependency:copy-dependencies -DoutputDirectory=NEW -Dkafka.version=4.1.0
//   mvn -q -f pom.xml dependency:copy-dependencies -DoutputDirectory=OLD -Dkafka.version=3.9.2
//   java -cp 'OLD/*' DumpSchemas.java > old.txt
//   java -cp 'NEW/*' DumpSchemas.java old.txt > schemas.txt
//
// The table says "compact" nowhere: that all strings, bytes, records and arrays of a flexible version are compact and
// all its structs have tagged fields, and none in a plain version, is checked here, and an exception ends the run.

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.kafka.common.message.ApiMessageType;
import org.apache.kafka.common.message.ConsumerProtocolAssignment;
import org.apache.kafka.common.message.ConsumerProtocolSubscription;
import org.apache.kafka.common.protocol.Errors;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.MessageSizeAccumulator;
import org.apache.kafka.common.protocol.ObjectSerializationCache;
import org.apache.kafka.common.protocol.types.ArrayOf;
import org.apache.kafka.common.protocol.types.BoundField;
import org.apache.kafka.common.protocol.types.CompactArrayOf;
import org.apache.kafka.common.protocol.types.Field;
import org.apache.kafka.common.protocol.types.Schema;
import org.apache.kafka.common.protocol.types.TaggedFields;
import org.apache.kafka.common.protocol.types.Type;
import org.apache.kafka.common.record.BaseRecords;
import org.apache.kafka.common.record.MemoryRecords;
import org.apache.kafka.common.utils.AppInfoParser;

public class DumpSchemas {
    static final String SOURCE = "# kafka-clients ";

    public static void main(String[] args) throws Exception {
        Table table = new Table();
        table.addJar();
        for (String arg : args) {
            table.addFile(Path.of(arg));
        }
        table.print();
    }

    /** The lines of a table: for each section ("error", "api 0", "data X") its versions, not yet merged to ranges. */
    static class Table {
        final List<String> sources = new ArrayList<>();
        final TreeMap<Integer, String> errors = new TreeMap<>();
        final TreeMap<Integer, String> apis = new TreeMap<>();
        /** "request 0", "response 0" or "data X" to version to the rest of its line. */
        final TreeMap<String, TreeMap<Integer, String>> versions = new TreeMap<>();

        void addJar() throws ReflectiveOperationException {
            sources.add(AppInfoParser.getVersion());
            for (Errors error : Errors.values()) {
                errors.put((int) error.code(), error.name());
            }
            for (ApiMessageType api : ApiMessageType.values()) {
                if (api.lowestSupportedVersion() > api.highestSupportedVersion(true)) {
                    continue; // A dropped api: only its key is left.
                }
                apis.put((int) api.apiKey(), api.name);
                Signatures request = new Signatures(api.newRequest().getClass());
                Signatures response = new Signatures(api.newResponse().getClass());
                Schema[] requests = api.requestSchemas();
                Schema[] responses = api.responseSchemas();
                // Schemas of dropped versions are null.
                for (short v = 0; v < requests.length; v++) {
                    if (requests[v] != null) {
                        short header = api.requestHeaderVersion(v);
                        boolean flexible = Signatures.isFlexible(requests[v]);
                        check(flexible == header >= 2, api.name + " request header of version " + v);
                        put("request " + api.apiKey(), v, "header " + header + " " + request.of(requests[v], v));
                    }
                }
                for (short v = 0; v < responses.length; v++) {
                    if (responses[v] != null) {
                        short header = api.responseHeaderVersion(v);
                        put("response " + api.apiKey(), v, "header " + header + " " + response.of(responses[v], v));
                    }
                }
            }
            addData(ConsumerProtocolAssignment.class, ConsumerProtocolAssignment.SCHEMAS);
            addData(ConsumerProtocolSubscription.class, ConsumerProtocolSubscription.SCHEMAS);
        }

        void addData(Class<?> message, Schema[] schemas) throws ReflectiveOperationException {
            Signatures signatures = new Signatures(message);
            for (short v = 0; v < schemas.length; v++) {
                if (schemas[v] != null) {
                    put("data " + message.getSimpleName(), v, signatures.of(schemas[v], v));
                }
            }
        }

        void addFile(Path file) throws Exception {
            String section = "";
            for (String line : Files.readAllLines(file)) {
                String[] word = line.split(" ", 3);
                switch (word[0]) {
                    case "#" -> {
                        if (line.startsWith(SOURCE)) {
                            sources.addAll(List.of(line.substring(SOURCE.length()).split(":")[0].split(" and ")));
                        }
                    }
                    case "error" -> putOnce(errors, Integer.valueOf(word[1]), word[2], "error");
                    case "api" -> {
                        section = word[1];
                        putOnce(apis, Integer.valueOf(word[1]), word[2], "api");
                    }
                    case "data" -> section = word[1];
                    case "request", "response" -> putRange(word[0] + " " + section, word[1], word[2]);
                    case "version" -> putRange("data " + section, word[1], word[2]);
                    default -> throw new IllegalArgumentException(line);
                }
            }
        }

        void putRange(String section, String range, String rest) {
            int dash = range.indexOf('-');
            int first = Integer.parseInt(dash < 0 ? range : range.substring(0, dash));
            int last = Integer.parseInt(range.substring(dash + 1));
            for (int v = first; v <= last; v++) {
                put(section, v, rest);
            }
        }

        void put(String section, int version, String rest) {
            putOnce(versions.computeIfAbsent(section, s -> new TreeMap<>()), version, rest, section + " version");
        }

        static void putOnce(Map<Integer, String> map, int key, String value, String what) {
            String old = map.putIfAbsent(key, value);
            if (old != null && !old.equals(value)) {
                System.err.println(what + " " + key + " differs, the first stays:\n  " + old + "\n  " + value);
            }
        }

        void print() {
            System.out.println(SOURCE + String.join(" and ", sources) + ": made by `cargo xtask kafka-schemas`.");
            System.out.print("""
                # "request 3-8 header 1 plain": these versions share a request header and the fields that follow.
                # "flexible": strings, bytes, records and arrays are compact, each struct ends with tagged fields.
                # A field is name:type, a tagged one #tag:name:type. Types: bool i8 i16 u16 i32 u32 i64 uuid f64 string
                # bytes records, [element], {fields of a struct}; "?" after a type: may be null.
                # "data": a struct that travels inside a bytes field, after an i16 version of its own.
                """);
            errors.forEach((code, name) -> System.out.println("error " + code + " " + name));
            apis.forEach((key, name) -> {
                System.out.println("api " + key + " " + name);
                printRanges("request", versions.get("request " + key));
                printRanges("response", versions.get("response " + key));
            });
            versions.forEach((section, map) -> {
                if (section.startsWith("data ")) {
                    System.out.println(section);
                    printRanges("version", map);
                }
            });
        }

        static void printRanges(String label, TreeMap<Integer, String> map) {
            for (int first : map.keySet()) {
                String rest = map.get(first);
                if (rest.equals(map.get(first - 1))) {
                    continue;
                }
                int last = first;
                while (rest.equals(map.get(last + 1))) {
                    last++;
                }
                System.out.println(label + " " + (first == last ? "" + first : first + "-" + last) + " " + rest);
            }
        }
    }

    /** Writes the schemas of one generated message class and of the structs nested in it. */
    static class Signatures {
        static final Map<Type, String> PLAIN = Map.of(
            Type.STRING, "string", Type.NULLABLE_STRING, "string?",
            Type.BYTES, "bytes", Type.NULLABLE_BYTES, "bytes?",
            Type.RECORDS, "records");
        static final Map<Type, String> COMPACT = Map.of(
            Type.COMPACT_STRING, "string", Type.COMPACT_NULLABLE_STRING, "string?",
            Type.COMPACT_BYTES, "bytes", Type.COMPACT_NULLABLE_BYTES, "bytes?",
            Type.COMPACT_RECORDS, "records");
        static final Map<Type, String> FIXED = Map.of(
            Type.BOOLEAN, "bool", Type.INT8, "i8", Type.INT16, "i16", Type.UINT16, "u16", Type.INT32, "i32",
            Type.UNSIGNED_INT32, "u32", Type.INT64, "i64", Type.UUID, "uuid", Type.FLOAT64, "f64");

        final Map<Schema, Class<?>> owners = new IdentityHashMap<>();

        Signatures(Class<?> message) throws ReflectiveOperationException {
            List<Class<?>> structs = new ArrayList<>(Arrays.asList(message.getDeclaredClasses()));
            structs.add(message);
            for (Class<?> struct : structs) {
                for (var field : struct.getDeclaredFields()) {
                    if (field.getType() == Schema.class) {
                        owners.put((Schema) field.get(null), struct);
                    }
                }
            }
        }

        String of(Schema schema, short version) throws ReflectiveOperationException {
            boolean flexible = isFlexible(schema);
            String struct = struct(schema, version, flexible);
            String fields = struct.substring(1, struct.length() - 1);
            return (flexible ? "flexible " + fields : "plain " + fields).stripTrailing();
        }

        static boolean isFlexible(Schema schema) {
            int count = schema.numFields();
            return count > 0 && schema.get(count - 1).def.type instanceof TaggedFields;
        }

        String struct(Schema schema, short version, boolean flexible) throws ReflectiveOperationException {
            check(isFlexible(schema) == flexible, "tagged fields of " + owners.get(schema) + " version " + version);
            List<String> fields = new ArrayList<>();
            for (BoundField field : schema.fields()) {
                if (field.def.type instanceof TaggedFields tagged) {
                    for (var entry : taggedFields(tagged).entrySet()) {
                        Field def = entry.getValue();
                        String type = type(schema, def.name, def.type, version, flexible);
                        fields.add("#" + entry.getKey() + ":" + def.name + ":" + type);
                    }
                } else {
                    fields.add(field.def.name + ":" + type(schema, field.def.name, field.def.type, version, flexible));
                }
            }
            return "{" + String.join(" ", fields) + "}";
        }

        /** By tag. Kafka 3.9 has no public method for them. */
        @SuppressWarnings("unchecked")
        static TreeMap<Integer, Field> taggedFields(TaggedFields tagged) throws ReflectiveOperationException {
            var fields = TaggedFields.class.getDeclaredField("fields");
            fields.setAccessible(true);
            return new TreeMap<>((Map<Integer, Field>) fields.get(tagged));
        }

        String type(Schema parent, String name, Type type, short version, boolean flexible)
                throws ReflectiveOperationException {
            if (type instanceof Schema schema) {
                return struct(schema, version, flexible) + (takesNull(parent, name, version) ? "?" : "");
            }
            if (type instanceof ArrayOf || type instanceof CompactArrayOf) {
                check(type instanceof CompactArrayOf == flexible, "array " + name + " version " + version);
                Type element = type.arrayElementType().get();
                String text = element instanceof Schema schema
                    ? struct(schema, version, flexible)
                    : type(parent, name, element, version, flexible);
                return "[" + text + "]" + (type.isNullable() ? "?" : "");
            }
            String text = FIXED.getOrDefault(type, (flexible ? COMPACT : PLAIN).get(type));
            check(text != null, type + " " + name + " of " + owners.get(parent) + " version " + version);
            return text.equals("records") && takesNull(parent, name, version) ? "records?" : text;
        }

        /**
         * Whether a field of struct or records type may be null. The schemas of these releases don't tell, but the
         * generated class can size (and write) null only where it is allowed.
         */
        boolean takesNull(Schema parent, String name, short version) throws ReflectiveOperationException {
            Message message = (Message) owners.get(parent).getConstructor().newInstance();
            for (var field : message.getClass().getDeclaredFields()) {
                if (field.getType() == BaseRecords.class) {
                    field.setAccessible(true);
                    field.set(message, MemoryRecords.EMPTY);
                }
            }
            message.addSize(new MessageSizeAccumulator(), new ObjectSerializationCache(), version);
            javaField(message, name).set(message, null);
            try {
                message.addSize(new MessageSizeAccumulator(), new ObjectSerializationCache(), version);
                return true;
            } catch (NullPointerException e) {
                return false;
            }
        }

        /** The Java field of a schema's field: topic_data is topicData, kraft_version_feature kRaftVersionFeature. */
        static java.lang.reflect.Field javaField(Message message, String name) {
            var field = Arrays.stream(message.getClass().getDeclaredFields())
                .filter(f -> f.getName().equalsIgnoreCase(name.replace("_", "")))
                .findFirst().orElseThrow();
            field.setAccessible(true);
            return field;
        }
    }

    static void check(boolean ok, String what) {
        if (!ok) {
            throw new IllegalStateException("not as its version should be: " + what);
        }
    }
}
