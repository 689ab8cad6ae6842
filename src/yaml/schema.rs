//! JSON Schema (draft 2020-12) of a [`Shape`], for editors: completion, hover text, and checking while typing.

use serde_json::{Map, Value, json};

use super::shape::{Key, Kind, Shape};

/// The schema of a file.
pub fn schema(shape: &'static Shape, title: &str) -> Value {
    let mut definitions = Map::new();
    let root = reference(shape, true, &mut definitions);
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        "description": shape.doc,
        "allOf": [root],
        "$defs": definitions,
    })
}

/// The schema of a file that may be of one of several shapes.
pub fn schema_of_any(shapes: &[&'static Shape], title: &str) -> Value {
    let mut definitions = Map::new();
    let roots: Vec<Value> = shapes.iter().map(|shape| reference(shape, true, &mut definitions)).collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        "anyOf": roots,
        "$defs": definitions,
    })
}

/// A reference to the definition of a shape, which is added if it is not there yet.
fn reference(shape: &'static Shape, whole: bool, definitions: &mut Map<String, Value>) -> Value {
    let name = if whole { shape.name.replace(' ', "_") } else { format!("{}_defaults", shape.name.replace(' ', "_")) };
    let target = json!({"$ref": format!("#/$defs/{name}")});
    if definitions.contains_key(&name) {
        return target;
    }
    // Present before its keys are described, because a shape may contain itself.
    definitions.insert(name.clone(), Value::Null);
    let mut properties = Map::new();
    for key in shape.keys {
        properties.insert(key.name.to_owned(), property(key, definitions));
    }
    let required: Vec<&str> = shape.keys.iter().filter(|key| whole && key.required).map(|key| key.name).collect();
    let mut object = json!({
        "type": "object",
        "description": shape.doc,
        "additionalProperties": false,
        "properties": properties,
    });
    if !required.is_empty() {
        object["required"] = json!(required);
    }
    definitions.insert(name, object);
    target
}

fn property(key: &Key, definitions: &mut Map<String, Value>) -> Value {
    let mut out = of_kind(&key.kind, definitions);
    out["description"] = json!(key.doc);
    if let Ok(example) = serde_yaml::from_str::<Value>(key.example)
        && !key.example.is_empty()
    {
        out["examples"] = json!([example]);
    }
    if let (false, Ok(default)) = (key.default.is_empty(), serde_yaml::from_str::<Value>(key.default)) {
        out["default"] = default;
    }
    out
}

fn of_kind(kind: &Kind, definitions: &mut Map<String, Value>) -> Value {
    match kind {
        Kind::Text | Kind::Language(_) => json!({"type": ["string", "number", "boolean"]}),
        Kind::Duration => json!({
            "type": ["string", "integer"],
            "pattern": "^(0|([0-9]+y)?([0-9]+w)?([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?)$",
        }),
        Kind::Number(low, high) => bounded(json!({"type": "number"}), *low, *high),
        Kind::Integer(low, high) => bounded(json!({"type": "integer"}), *low as f64, *high as f64),
        Kind::Boolean => json!({"type": "boolean"}),
        Kind::Size => json!({"type": ["string", "integer"], "pattern": "^[0-9]+ *(B|KB|KiB|MB|MiB|GB|GiB)?$"}),
        Kind::OneOf(words) => json!({"enum": words}),
        Kind::List(inner) => json!({"type": "array", "items": of_kind(inner, definitions)}),
        Kind::Map(inner) => json!({"type": "object", "additionalProperties": of_kind(inner, definitions)}),
        Kind::MapOf(words, inner) => json!({
            "type": "object",
            "propertyNames": {"enum": words},
            "additionalProperties": of_kind(inner, definitions),
        }),
        Kind::Object(shape) => reference(shape, true, definitions),
        Kind::Partial(shape) => reference(shape, false, definitions),
        Kind::Either(kinds) => {
            let any: Vec<Value> = kinds.iter().map(|kind| of_kind(kind, definitions)).collect();
            json!({"anyOf": any})
        }
        Kind::Any => json!({}),
        Kind::Unsupported(_) => json!({"not": {}}),
    }
}

fn bounded(mut schema: Value, low: f64, high: f64) -> Value {
    if low.is_finite() {
        schema["minimum"] = json!(low);
    }
    // Bounds beyond what a double counts exactly stand for "none".
    if high < 9e15 {
        schema["maximum"] = json!(high);
    }
    schema
}
