//! How arguments are read: leniently in form, since models send numbers as text and lists as words, and strictly in
//! substance: an unknown name is an error that says which ones there are.

use rmcp::model::JsonObject;
use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::Value;

/// Reads a tool's or prompt's arguments.
pub(super) fn parse<T: DeserializeOwned>(arguments: JsonObject) -> Result<T, String> {
    serde_json::from_value(Value::Object(arguments)).map_err(|error| {
        let error =
            error.to_string().replace("unknown field", "unknown argument").replace("missing field", "missing argument");
        let error: String = error.chars().take(500).collect();
        format!("wrong arguments: {error}")
    })
}

/// A whole number that is not negative: also `"100"` and `100.0`.
pub(super) fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let value = Value::deserialize(deserializer)?;
    let number = match &value {
        Value::Null => return Ok(None),
        Value::Number(number) => number.as_u64().or_else(|| {
            let float = number.as_f64().filter(|float| float.fract() == 0.0 && (0.0..9.0e15).contains(float))?;
            Some(float as u64)
        }),
        Value::String(text) => text.trim().parse().ok(),
        Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    number.map(Some).ok_or_else(|| serde::de::Error::custom(format!("{value} is not a whole number of 0 or more")))
}

/// True or false: also as text.
pub(super) fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<bool>, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Null => Ok(None),
        Value::Bool(flag) => Ok(Some(flag)),
        Value::String(text) if text == "true" => Ok(Some(true)),
        Value::String(text) if text == "false" => Ok(Some(false)),
        other => Err(serde::de::Error::custom(format!("{other} is neither true nor false"))),
    }
}

/// Text: also a number, for ids.
pub(super) fn word<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::String(text) => Ok(text),
        Value::Number(number) => Ok(number.to_string()),
        other => Err(serde::de::Error::custom(format!("{other} is not text"))),
    }
}

/// Field names: a list, or text with commas.
pub(super) fn names<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Null => Ok(Vec::new()),
        Value::String(text) => Ok(super::question::fields(&text)),
        Value::Array(names) => names
            .into_iter()
            .map(|name| match name {
                Value::String(name) => Ok(name.trim().to_owned()),
                other => Err(serde::de::Error::custom(format!("{other} is not a field's name"))),
            })
            .collect(),
        other => Err(serde::de::Error::custom(format!("{other} is not a list of field names"))),
    }
}
