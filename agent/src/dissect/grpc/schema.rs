//! Descriptors, by which payloads get their names: those of the operator's file, and those learned from server
//! reflection on the wire. Protobuf's well-known types are always there.
//!
//! The operator's come first and stay: a learned file is taken only under a name that is new, and only when none of its
//! definitions is there already. Learned ones come from anybody, so their number, size and definitions are bounded, and
//! one that is wrong is refused and counted. Of two versions of a file the first one learned stays.

use std::{
    collections::{HashMap, HashSet},
    hash::{DefaultHasher, Hash, Hasher},
    io::Read,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use prost::Message;
use prost_reflect::{DescriptorPool, MethodDescriptor};
use prost_types::{FileDescriptorProto, FileDescriptorSet};

use super::{known, slim, wire::Wire};

/// The operator's file. All of Google's published APIs have some 20 MiB.
const OPERATOR_FILE: u64 = 64 << 20;

/// Learned files, those that wait for others included. A server has tens.
const FILES: usize = 512;

/// One learned file. Generated APIs of clouds have some 200 KiB.
const FILE_BYTES: usize = 512 << 10;

/// Messages, fields, values and so on of all learned files, on all connections together.
const DEFINITIONS: usize = 50_000;

/// What one of them costs when it is built, at most.
const DEFINITION: usize = 512;

/// What an operator can mend.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("can't read descriptor set {}: {source}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{} is not a binary descriptor set, as protoc --descriptor_set_out writes it", path.display())]
    NotDescriptorSet { path: PathBuf },
    #[error("descriptor set {} lacks {import}, which {file} imports: write it with --include_imports", path.display())]
    MissingImport { path: PathBuf, file: String, import: String },
    #[error("descriptor set {} is wrong: {reason}", path.display())]
    Invalid { path: PathBuf, reason: String },
}

/// What became of a file from the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Learned {
    Added,
    /// It is there already.
    Known,
    /// It is kept until the files come that it imports.
    Waiting,
    /// Too large, too many, malformed, or at odds with what is there.
    Refused,
}

#[derive(Debug)]
pub struct Schemas {
    pool: DescriptorPool,
    waiting: Vec<FileDescriptorProto>,
    /// Names of learned files, and what tells their versions apart.
    seen: HashMap<String, u64>,
    definitions: usize,
    /// Those of all that were made of the same operator's file.
    all_definitions: Arc<AtomicUsize>,
    refused: u64,
}

impl Drop for Schemas {
    fn drop(&mut self) {
        self.all_definitions.fetch_sub(self.definitions, Ordering::Relaxed);
    }
}

impl Default for Schemas {
    /// The well-known types only.
    fn default() -> Self {
        Self::of(DescriptorPool::global())
    }
}

impl Schemas {
    fn of(pool: DescriptorPool) -> Self {
        Self {
            pool,
            waiting: Vec::new(),
            seen: HashMap::new(),
            definitions: 0,
            all_definitions: Arc::default(),
            refused: 0,
        }
    }

    /// The operator's, to learn others beside them.
    pub fn fork(&self) -> Self {
        let mut fork = Self::of(self.pool.clone());
        fork.all_definitions = self.all_definitions.clone();
        fork
    }

    /// Bytes on the heap, about, of what was learned.
    pub fn heap(&self) -> usize {
        self.definitions * DEFINITION
    }

    /// Reads a binary `FileDescriptorSet`.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let read = |source| Error::Read { path: path.to_owned(), source };
        let mut bytes = Vec::new();
        let file = std::fs::File::open(path).map_err(read)?;
        file.take(OPERATOR_FILE + 1).read_to_end(&mut bytes).map_err(read)?;
        if bytes.len() as u64 > OPERATOR_FILE {
            return Err(Error::NotDescriptorSet { path: path.to_owned() });
        }
        Self::read(path, &bytes)
    }

    pub(super) fn read(path: &Path, bytes: &[u8]) -> Result<Self, Error> {
        let path = || path.to_owned();
        let set = FileDescriptorSet::decode(bytes).map_err(|_| Error::NotDescriptorSet { path: path() })?;
        // Nothing at all is a set too, but nobody means that; and each file has a name.
        if set.file.is_empty() || set.file.iter().any(|file| file.name().is_empty()) {
            return Err(Error::NotDescriptorSet { path: path() });
        }
        let mut pool = DescriptorPool::global();
        // Sets that share imports may be joined by `cat`: protobuf makes one set of them.
        let mut names = HashSet::new();
        let files = set.file.into_iter().filter(|file| names.insert(file.name().to_owned()));
        let Some(files) = files.map(slim::slim).collect::<Option<Vec<_>>>() else {
            return Err(Error::Invalid { path: path(), reason: "a map without key and value".to_owned() });
        };
        for file in &files {
            for import in &file.dependency {
                if !names.contains(import) && pool.get_file_by_name(import).is_none() {
                    let (file, import) = (file.name().to_owned(), import.clone());
                    return Err(Error::MissingImport { path: path(), file, import });
                }
            }
        }
        pool.add_file_descriptor_protos(files)
            .map_err(|error| Error::Invalid { path: path(), reason: error.to_string() })?;
        Ok(Self::of(pool))
    }

    /// The method of a gRPC path, `/package.Service/Method`.
    pub fn method(&self, path: &str) -> Option<MethodDescriptor> {
        let (service, method) = path.strip_prefix('/')?.rsplit_once('/')?;
        let service = self.pool.get_service_by_name(service)?;
        service.methods().find(|candidate| candidate.name() == method)
    }

    pub fn pool(&self) -> &DescriptorPool {
        &self.pool
    }

    /// Learned files that were refused, at once or when what they waited for came.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Takes a serialized `FileDescriptorProto` from the wire.
    pub fn learn(&mut self, file: &[u8]) -> Learned {
        let outcome = self.judge(file);
        self.refused += u64::from(outcome == Learned::Refused);
        outcome
    }

    fn judge(&mut self, bytes: &[u8]) -> Learned {
        if bytes.len() > FILE_BYTES {
            return Learned::Refused;
        }
        // `FileDescriptorProto.name`. What is known is not decoded again: clients ask often.
        let Some(Wire::Bytes(name)) = known::last(bytes, 1) else { return Learned::Refused };
        let Ok(name) = std::str::from_utf8(name) else { return Learned::Refused };
        let version = version(bytes);
        match self.seen.get(name) {
            Some(known) if *known == version => return Learned::Known,
            Some(_) => return Learned::Refused,
            // The operator's, or protobuf's own, whatever the version.
            None if self.pool.get_file_by_name(name).is_some() => return Learned::Known,
            None if self.seen.len() == FILES => return Learned::Refused,
            None => {}
        }
        let Some(file) = FileDescriptorProto::decode(bytes).ok().and_then(slim::slim) else { return Learned::Refused };
        let definitions = slim::definitions(&file);
        let before = self.all_definitions.fetch_add(definitions, Ordering::Relaxed);
        if before + definitions > DEFINITIONS {
            self.all_definitions.fetch_sub(definitions, Ordering::Relaxed);
            return Learned::Refused;
        }
        self.definitions += definitions;
        self.seen.insert(name.to_owned(), version);
        if !self.complete(&file) {
            self.waiting.push(file);
            return Learned::Waiting;
        }
        if self.pool.add_file_descriptor_proto(file).is_err() {
            return Learned::Refused;
        }
        self.add_waiting();
        Learned::Added
    }

    /// Adds what waited for files that are there now, until nothing changes. Each turn takes a file away.
    fn add_waiting(&mut self) {
        while let Some(at) = self.waiting.iter().position(|file| self.complete(file)) {
            let file = self.waiting.swap_remove(at);
            self.refused += u64::from(self.pool.add_file_descriptor_proto(file).is_err());
        }
    }

    fn complete(&self, file: &FileDescriptorProto) -> bool {
        file.dependency.iter().all(|import| self.pool.get_file_by_name(import).is_some())
    }
}

/// Tells versions of a file apart. Not proof against who tries: then the first one stays, as it would anyway.
fn version(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
impl Schemas {
    /// A message by its full name.
    pub(super) fn message(&self, full_name: &str) -> Option<prost_reflect::MessageDescriptor> {
        self.pool.get_message_by_name(full_name)
    }
}

#[cfg(test)]
mod tests {
    use prost_types::{DescriptorProto, FieldDescriptorProto, ServiceDescriptorProto};

    use super::*;
    use crate::dissect::grpc::testing::{Random, SHOP, shop};

    fn file(name: &str, imports: &[&str], message: &str) -> FileDescriptorProto {
        FileDescriptorProto {
            name: Some(name.to_owned()),
            package: Some("test".to_owned()),
            dependency: imports.iter().map(|&import| import.to_owned()).collect(),
            message_type: vec![DescriptorProto { name: Some(message.to_owned()), ..Default::default() }],
            syntax: Some("proto3".to_owned()),
            ..Default::default()
        }
    }

    fn read(bytes: &[u8]) -> Result<Schemas, String> {
        Schemas::read(Path::new("shop.pb"), bytes).map_err(|error| error.to_string())
    }

    #[test]
    fn methods_are_found() {
        let schemas = shop();
        let method = schemas.method("/shop.v1.Shop/Order").unwrap();
        assert_eq!(method.input().full_name(), "shop.v1.Everything");
        assert_eq!(method.output().full_name(), "shop.v1.Line");
        for none in ["/shop.v1.Shop/None", "/Shop/Order", "shop.v1.Shop/Order", "", "/", "//", "/shop.v1.Shop"] {
            assert!(schemas.method(none).is_none(), "{none}");
        }
        assert!(Schemas::default().message("google.protobuf.Timestamp").is_some());
    }

    #[test]
    fn errors_say_what_to_do() {
        let missing = Schemas::open(Path::new("/none/x.pb")).unwrap_err().to_string();
        assert!(missing.starts_with("can't read descriptor set /none/x.pb: "), "{missing}");
        let text = "shop.pb is not a binary descriptor set, as protoc --descriptor_set_out writes it";
        for wrong in [&b""[..], b"syntax = \"proto3\";", b"\xff\xff", b"\x0a\x00"] {
            assert_eq!(read(wrong).unwrap_err(), text);
        }
        let lacking = FileDescriptorSet { file: vec![file("a.proto", &["b.proto"], "A")] }.encode_to_vec();
        assert_eq!(
            read(&lacking).unwrap_err(),
            "descriptor set shop.pb lacks b.proto, which a.proto imports: write it with --include_imports"
        );
        let twice = FileDescriptorSet { file: vec![file("a.proto", &[], "A"), file("b.proto", &[], "A")] };
        let twice = read(&twice.encode_to_vec()).unwrap_err();
        assert!(twice.starts_with("descriptor set shop.pb is wrong: ") && !twice.contains('\n'), "{twice}");
        assert!(read(&SHOP.repeat(2)).is_ok());
    }

    #[test]
    fn files_are_learned_in_any_order() {
        let files = [
            file("a.proto", &["b.proto", "c.proto"], "A"),
            file("b.proto", &["c.proto", "google/protobuf/any.proto"], "B"),
            file("c.proto", &[], "C"),
        ];
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let mut schemas = Schemas::default();
            for at in order {
                assert_ne!(schemas.learn(&files[at].encode_to_vec()), Learned::Refused);
            }
            assert_eq!((schemas.waiting.len(), schemas.refused()), (0, 0));
            assert!(["test.A", "test.B", "test.C"].iter().all(|name| schemas.message(name).is_some()));
            assert_eq!(schemas.learn(&files[0].encode_to_vec()), Learned::Known);
        }
    }

    #[test]
    fn the_first_version_stays() {
        let mut schemas = shop();
        let everything = schemas.message("shop.v1.Everything").unwrap().fields().len();
        let mut other = file("shop.proto", &[], "Everything");
        other.package = Some("shop.v1".to_owned());
        assert_eq!(schemas.learn(&other.encode_to_vec()), Learned::Known);
        other.name = Some("other.proto".to_owned());
        assert_eq!(schemas.learn(&other.encode_to_vec()), Learned::Refused);
        assert_eq!(schemas.message("shop.v1.Everything").unwrap().fields().len(), everything);
        assert_eq!(schemas.learn(&file("a.proto", &[], "A").encode_to_vec()), Learned::Added);
        assert_eq!(schemas.learn(&file("a.proto", &[], "B").encode_to_vec()), Learned::Refused);
        assert_eq!(schemas.refused(), 2);
    }

    #[test]
    fn what_is_learned_is_bounded() {
        let mut schemas = Schemas::default();
        for number in 0..1000 {
            schemas.learn(&file(&format!("{number}.proto"), &["never.proto"], "A").encode_to_vec());
        }
        assert_eq!((schemas.waiting.len(), schemas.refused()), (FILES, 1000 - FILES as u64));
        let mut schemas = Schemas::default();
        let mut large = file("large.proto", &[], "A");
        large.source_code_info = Some(Default::default());
        large.message_type.resize_with(60_000, Default::default);
        assert_eq!(schemas.learn(&large.encode_to_vec()), Learned::Refused);
        assert_eq!(schemas.learn(&vec![0; FILE_BYTES + 1]), Learned::Refused);
        assert_eq!(schemas.learn(b"\xff"), Learned::Refused);
        assert_eq!(schemas.learn(b""), Learned::Refused);
        let circle = [file("a.proto", &["b.proto"], "A"), file("b.proto", &["a.proto"], "B")];
        assert!(circle.iter().all(|file| schemas.learn(&file.encode_to_vec()) == Learned::Waiting));
    }

    #[test]
    fn a_file_of_an_edition_is_read() {
        let mut edition = file("a.proto", &[], "A");
        edition.syntax = Some("editions".to_owned());
        let set = FileDescriptorSet { file: vec![edition.clone()] }.encode_to_vec();
        assert!(read(&set).unwrap().message("test.A").is_some());
        assert_eq!(Schemas::default().learn(&edition.encode_to_vec()), Learned::Added);
    }

    #[test]
    fn an_unsound_map_is_refused() {
        let mut wrong = file("a.proto", &[], "A");
        let options = prost_types::MessageOptions { map_entry: Some(true), ..Default::default() };
        let entry = DescriptorProto {
            name: Some("FooEntry".to_owned()),
            field: vec![FieldDescriptorProto {
                name: Some("key".to_owned()),
                number: Some(7),
                label: Some(1),
                r#type: Some(9),
                ..Default::default()
            }],
            options: Some(options),
            ..Default::default()
        };
        wrong.message_type[0].nested_type.push(entry);
        wrong.service.push(ServiceDescriptorProto { name: Some("S".to_owned()), ..Default::default() });
        assert_eq!(Schemas::default().learn(&wrong.encode_to_vec()), Learned::Refused);
    }

    /// Files with wrong bytes are taken or refused, and what is taken can be used.
    #[test]
    fn mutated_files_do_no_harm() {
        let mut random = Random(10);
        let set = FileDescriptorSet::decode(SHOP).unwrap();
        let seeds: Vec<_> = set.file.iter().map(Message::encode_to_vec).collect();
        let rounds = std::env::var("ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(3000);
        let (mut taken, mut schemas) = (0, Schemas::default());
        for round in 0..rounds {
            if round % 50 == 0 {
                schemas = Schemas::default();
            }
            // Names that are new, so that the rest of the file is looked at.
            let seed = &seeds[random.below(seeds.len())];
            let Ok(mut file) = FileDescriptorProto::decode(random.mutated(seed).as_slice()) else { continue };
            file.name = Some(format!("{round}.proto"));
            file.package = Some(format!("p{round}"));
            taken += u32::from(schemas.learn(&file.encode_to_vec()) == Learned::Added);
            for message in schemas.pool().all_messages().collect::<Vec<_>>().into_iter().rev().take(5) {
                let payload = random.bytes(60);
                let mut budget = crate::dissect::grpc::Budget::new(1000);
                if let Some(typed) = crate::dissect::grpc::typed::decode(&message, &payload, &mut budget) {
                    assert!(typed.tree.to_string().len() < 20_000);
                }
            }
        }
        assert!(taken > rounds / 100, "{taken}");
    }
}
