//! Descriptors reduced to what decoding needs: names, numbers, types, and who imports whom. Options, defaults, ranges,
//! extensions and comments are most of a file, and much of what a wrong one can hold; the library that builds the
//! rest takes some things for granted, and those are checked here.
//!
//! All files come out as proto2, whatever their syntax. It is the most lenient, and neither presence nor packing matters
//! to a reader that takes what is on the wire; so files of an edition are read too, which the library does not know.

use prost_types::{
    DescriptorProto, EnumDescriptorProto, EnumOptions, EnumValueDescriptorProto, FieldDescriptorProto,
    FileDescriptorProto, MessageOptions, MethodDescriptorProto, OneofDescriptorProto, ServiceDescriptorProto,
};

/// The file, reduced. `None`: no protoc writes such a one.
pub(super) fn slim(file: FileDescriptorProto) -> Option<FileDescriptorProto> {
    let FileDescriptorProto { name, package, dependency, public_dependency, message_type, enum_type, service, .. } =
        file;
    if name.as_deref().unwrap_or_default().is_empty() {
        return None;
    }
    Some(FileDescriptorProto {
        name,
        package,
        dependency,
        public_dependency,
        message_type: message_type.into_iter().map(message).collect::<Option<_>>()?,
        enum_type: enum_type.into_iter().map(enumeration).collect(),
        service: service.into_iter().map(self::service).collect(),
        ..Default::default()
    })
}

/// Everything in a file that costs memory when it is built.
pub(super) fn definitions(file: &FileDescriptorProto) -> usize {
    let services: usize = file.service.iter().map(|service| 1 + service.method.len()).sum();
    let messages: usize = file.message_type.iter().map(definitions_of_message).sum();
    1 + file.dependency.len() + definitions_of_enums(&file.enum_type) + services + messages
}

/// As deep as the decoder lets messages be, which is 100.
fn definitions_of_message(message: &DescriptorProto) -> usize {
    let nested: usize = message.nested_type.iter().map(definitions_of_message).sum();
    1 + message.field.len() + message.oneof_decl.len() + definitions_of_enums(&message.enum_type) + nested
}

fn definitions_of_enums(enums: &[EnumDescriptorProto]) -> usize {
    enums.iter().map(|each| 1 + each.value.len()).sum()
}

fn message(message: DescriptorProto) -> Option<DescriptorProto> {
    let DescriptorProto { name, field, nested_type, enum_type, oneof_decl, options, .. } = message;
    let entry = options.is_some_and(|options| options.map_entry());
    // descriptor.proto, MessageOptions.map_entry: a message with `key = 1` and `value = 2`. The library asks for both.
    let has = |number| field.iter().any(|field| field.number() == number);
    if entry && !(field.len() == 2 && has(1) && has(2)) {
        return None;
    }
    Some(DescriptorProto {
        name,
        field: field.into_iter().map(self::field).collect(),
        nested_type: nested_type.into_iter().map(self::message).collect::<Option<_>>()?,
        enum_type: enum_type.into_iter().map(enumeration).collect(),
        oneof_decl: oneof_decl
            .into_iter()
            .map(|oneof| OneofDescriptorProto { name: oneof.name, options: None })
            .collect(),
        options: entry.then(|| MessageOptions { map_entry: Some(true), ..Default::default() }),
        ..Default::default()
    })
}

fn field(field: FieldDescriptorProto) -> FieldDescriptorProto {
    let FieldDescriptorProto { name, number, label, r#type, type_name, json_name, oneof_index, .. } = field;
    FieldDescriptorProto { name, number, label, r#type, type_name, json_name, oneof_index, ..Default::default() }
}

fn enumeration(enumeration: EnumDescriptorProto) -> EnumDescriptorProto {
    let EnumDescriptorProto { name, value, options, .. } = enumeration;
    let alias = options.is_some_and(|options| options.allow_alias());
    EnumDescriptorProto {
        name,
        value: value.into_iter().map(|value| EnumValueDescriptorProto { options: None, ..value }).collect(),
        options: alias.then(|| EnumOptions { allow_alias: Some(true), ..Default::default() }),
        ..Default::default()
    }
}

fn service(service: ServiceDescriptorProto) -> ServiceDescriptorProto {
    let ServiceDescriptorProto { name, method, .. } = service;
    let method = method.into_iter().map(|method| MethodDescriptorProto { options: None, ..method }).collect();
    ServiceDescriptorProto { name, method, options: None }
}
