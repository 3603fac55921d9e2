//! How arguments are read: leniently in form, since models send numbers as text and lists as words, and strictly in
//! substance: an unknown name is an error that says which ones there are.

use rmcp::model::JsonObject;
use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::Value;

/// Reads a tool's or prompt's arguments.
pub(super) fn parse<T: DeserializeOwned>(arguments: JsonObject) -> Result<T, String> {
    let arguments = Value::Object(arguments);
    T::deserialize(&arguments).map_err(|error| {
        let error = error.to_string();
        let blamed = blamed::<T>(&arguments, &error).map(|name| format!(" {name:?}")).unwrap_or_default();
        let error = error.replace("unknown field", "unknown argument").replace("missing field", "missing argument");
        let error: String = error.chars().take(500).collect();
        format!("wrong argument{blamed}: {error}")
    })
}

/// The argument whose value is wrong: the one that gives the same error alone. Errors about names say them already.
fn blamed<'a, T: DeserializeOwned>(arguments: &'a Value, error: &str) -> Option<&'a str> {
    if error.starts_with("unknown field") || error.starts_with("missing field") {
        return None;
    }
    let same = |name: &str, value: &Value| {
        let alone = Value::Object(JsonObject::from_iter([(name.to_owned(), value.clone())]));
        T::deserialize(&alone).is_err_and(|alone| alone.to_string() == error)
    };
    arguments.as_object()?.iter().find(|(name, value)| same(name, value)).map(|(name, _)| name.as_str())
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Arguments {
        #[serde(deserialize_with = "word")]
        id: String,
        #[serde(default, deserialize_with = "number")]
        limit: Option<u64>,
        #[serde(default, deserialize_with = "flag")]
        all: Option<bool>,
        #[serde(default, deserialize_with = "names")]
        by: Vec<String>,
    }

    fn read(value: Value) -> Result<Arguments, String> {
        parse(value.as_object().cloned().unwrap_or_default())
    }

    #[test]
    fn forms_that_models_send_are_taken() {
        let Arguments { id, limit, all, by } =
            read(json!({"id": 7, "limit": "100", "all": "true", "by": "a, b"})).unwrap();
        assert_eq!((id.as_str(), limit, all, by), ("7", Some(100), Some(true), vec!["a".to_owned(), "b".to_owned()]));
        let Arguments { id: _, limit, all, by } =
            read(json!({"id": "x", "limit": 5.0, "all": null, "by": ["a"]})).unwrap();
        assert_eq!((limit, all, by), (Some(5), None, vec!["a".to_owned()]));
    }

    #[test]
    fn mistakes_name_the_argument() {
        for (wrong, named) in [
            (json!({"id": "x", "limit": -1}), "\"limit\": -1"),
            (json!({"id": "x", "limit": 1.5}), "\"limit\""),
            (json!({"id": "x", "all": 1}), "\"all\""),
            (json!({"id": "x", "by": [1]}), "\"by\""),
            (json!({"limit": 1}), "missing argument `id`"),
            (json!({"id": "x", "lmit": 1}), "unknown argument `lmit`, expected one of `id`, `limit`"),
        ] {
            let error = read(wrong).unwrap_err();
            assert!(error.contains(named), "{error}");
        }
    }
}
