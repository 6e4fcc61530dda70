//! The part of JSON Schema that the AsyncAPI document uses. Another keyword is an error.

use serde_json::{Map, Value};
use shared_events::Timestamp;

/// A schema with the document of its references.
#[derive(Clone, Copy)]
pub(crate) struct Schema<'a> {
    pub(crate) document: &'a Value,
    pub(crate) schema: &'a Value,
}

/// A property below a schema: its path, and whether its object requires it.
pub(crate) type Property = (Vec<String>, bool);

impl<'a> Schema<'a> {
    /// The target of `{$ref}`, or the schema itself.
    pub(crate) fn resolved(self) -> Map<String, Value> {
        let object = self.schema.as_object().unwrap();
        match object.get("$ref") {
            Some(target) => {
                assert_eq!(object.len(), 1, "a reference stands alone: {object:?}");
                let pointer = target.as_str().unwrap().strip_prefix('#').unwrap();
                let schema = self.document.pointer(pointer).unwrap_or_else(|| panic!("nothing at {pointer}"));
                Self { schema, ..self }.resolved()
            }
            None => object.clone(),
        }
    }

    fn at<'b>(self, schema: &'b Value) -> Schema<'b>
    where
        'a: 'b,
    {
        Schema { document: self.document, schema }
    }

    /// All properties below, also of nested objects.
    pub(crate) fn properties(self) -> Vec<Property> {
        let schema = self.resolved();
        let mut found = Vec::new();
        for (name, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
            let required = schema
                .get("required")
                .and_then(Value::as_array)
                .is_some_and(|all| all.contains(&name.as_str().into()));
            found.push((vec![name.clone()], required));
            for (path, required) in self.at(property).properties() {
                found.push(([vec![name.clone()], path].concat(), required));
            }
        }
        found
    }

    /// The mistakes of a value. Unknown fields are mistakes too.
    pub(crate) fn problems(self, at: &str, value: &Value) -> Vec<String> {
        let schema = self.resolved();
        if let Some(forms) = schema.get("oneOf").and_then(Value::as_array) {
            assert_eq!(schema.len(), 1, "{at}: oneOf stands alone");
            let fits = forms.iter().filter(|form| self.at(form).problems(at, value).is_empty()).count();
            return if fits == 1 {
                Vec::new()
            } else {
                vec![format!("{at}: {value} fits {fits} of {forms:?}")]
            };
        }
        let mut problems = Vec::new();
        for (keyword, argument) in &schema {
            let holds = match keyword.as_str() {
                "description" | "properties" | "additionalProperties" | "items" => true,
                "propertyNames" => {
                    names(value).all(|name| argument["enum"].as_array().unwrap().contains(&name.into()))
                }
                "required" => argument
                    .as_array()
                    .unwrap()
                    .iter()
                    .all(|name| value.get(name.as_str().unwrap()).is_some()),
                "type" => match argument.as_str().unwrap() {
                    "object" => value.is_object(),
                    "string" => value.is_string(),
                    "integer" => value.is_u64(),
                    "array" => value.is_array(),
                    "boolean" => value.is_boolean(),
                    other => panic!("{at}: type {other} is not checked"),
                },
                "format" => value.as_str().is_some_and(|text| has_format(argument.as_str().unwrap(), text)),
                "const" => value == argument,
                "minimum" => value.as_u64() >= argument.as_u64(),
                "maximum" => value.as_u64() <= argument.as_u64(),
                "minItems" => {
                    value.as_array().is_some_and(|all| all.len() as u64 >= argument.as_u64().unwrap())
                }
                "maxItems" => {
                    value.as_array().is_some_and(|all| all.len() as u64 <= argument.as_u64().unwrap())
                }
                "minLength" => length(value) >= argument.as_u64(),
                "maxLength" => length(value) <= argument.as_u64(),
                other => panic!("{at}: keyword {other} is not checked"),
            };
            if !holds {
                problems.push(format!("{at}: {value} is not {keyword}: {argument}"));
            }
        }
        let properties = schema.get("properties").and_then(Value::as_object);
        for (name, value) in value.as_object().into_iter().flatten() {
            let at = format!("{at}/{name}");
            let others = schema.get("additionalProperties");
            match properties.and_then(|properties| properties.get(name)).or(others) {
                Some(property) => problems.extend(self.at(property).problems(&at, value)),
                None => problems.push(format!("{at}: not in the schema")),
            }
        }
        if let Some(items) = schema.get("items") {
            for (place, item) in value.as_array().into_iter().flatten().enumerate() {
                problems.extend(self.at(items).problems(&format!("{at}/{place}"), item));
            }
        }
        problems
    }
}

fn names(value: &Value) -> impl Iterator<Item = &str> {
    value.as_object().into_iter().flatten().map(|(name, _)| name.as_str())
}

fn length(value: &Value) -> Option<u64> {
    value.as_str().map(|text| text.chars().count().try_into().unwrap())
}

fn has_format(format: &str, text: &str) -> bool {
    match format {
        "uuid" => uuid::Uuid::try_parse(text).is_ok_and(|id| id.to_string() == text),
        "date-time" => text.parse::<Timestamp>().is_ok() && text.ends_with('Z'),
        "uri-reference" => !text.is_empty() && !text.contains(' '),
        other => panic!("format {other} is not checked"),
    }
}
