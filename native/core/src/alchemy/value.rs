//! Reading JSON with a path, so that what is wrong can be told without showing it. Null is absent.

use std::collections::HashMap;

use serde_json::Value;

use super::request::RequestError;

/// A value at its place; `None` where nothing stands.
#[derive(Clone)]
pub(crate) struct At<'a> {
    value: Option<&'a Value>,
    path: String,
}

impl<'a> At<'a> {
    pub(crate) fn root(value: &'a Value) -> Self {
        Self {
            value: Some(value),
            path: String::new(),
        }
    }

    pub(crate) fn value(&self) -> Option<&'a Value> {
        self.value
    }

    /// The member of that name, there or not.
    pub(crate) fn at(&self, name: &str) -> Self {
        let dot = if self.path.is_empty() { "" } else { "." };
        Self {
            value: self
                .value
                .and_then(|value| value.get(name))
                .filter(|value| !value.is_null()),
            path: format!("{}{dot}{name}", self.path),
        }
    }

    pub(crate) fn wrong(&self, problem: &str) -> RequestError {
        RequestError::Shape {
            path: self.path.clone(),
            problem: problem.to_owned(),
        }
    }

    /// A member that is an object, or absent.
    pub(crate) fn object(&self, name: &str) -> Result<Self, RequestError> {
        let member = self.at(name);
        match member.value {
            None | Some(Value::Object(_)) => Ok(member),
            Some(_) => Err(member.wrong("must be an object")),
        }
    }

    /// A member that must be a text, and not a blank one.
    pub(crate) fn text(&self, name: &str) -> Result<&'a str, RequestError> {
        let member = self.at(name);
        match member.value {
            Some(Value::String(text)) if !text.trim().is_empty() => Ok(text),
            Some(Value::String(_)) => Err(member.wrong("must not be blank")),
            Some(_) => Err(member.wrong("must be a string")),
            None => Err(member.wrong("is missing")),
        }
    }

    pub(crate) fn text_or(&self, name: &str, default: &'a str) -> Result<&'a str, RequestError> {
        let member = self.at(name);
        match member.value {
            None => Ok(default),
            Some(Value::String(text)) => Ok(text),
            Some(_) => Err(member.wrong("must be a string")),
        }
    }

    pub(crate) fn flag(&self, name: &str) -> Result<Option<bool>, RequestError> {
        let member = self.at(name);
        match member.value {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(_) => Err(member.wrong("must be true or false")),
        }
    }

    pub(crate) fn count(&self, name: &str) -> Result<Option<u32>, RequestError> {
        let member = self.at(name);
        let count = member
            .value
            .map(|value| value.as_u64().and_then(|count| u32::try_from(count).ok()));
        match count {
            None => Ok(None),
            Some(Some(count)) if count > 0 => Ok(Some(count)),
            Some(_) => Err(member.wrong("must be a whole number above 0")),
        }
    }

    pub(crate) fn number(&self, name: &str) -> Result<Option<f64>, RequestError> {
        let member = self.at(name);
        match member.value.map(Value::as_f64) {
            None => Ok(None),
            Some(Some(number)) => Ok(Some(number)),
            Some(None) => Err(member.wrong("must be a number")),
        }
    }

    /// The entries of a member that is an array, or absent; those that are null are passed over.
    pub(crate) fn items(&self, name: &str) -> Result<Vec<Self>, RequestError> {
        let member = self.at(name);
        match member.value {
            None => Ok(Vec::new()),
            Some(Value::Array(_)) => Ok(member.entries()),
            Some(_) => Err(member.wrong("must be a list")),
        }
    }

    /// The entries, if it is an array.
    pub(crate) fn entries(&self) -> Vec<Self> {
        let entries = self.value.and_then(Value::as_array).into_iter().flatten();
        let placed = entries.enumerate().map(|(index, value)| Self {
            value: Some(value),
            path: format!("{}[{index}]", self.path),
        });
        placed
            .filter(|entry| entry.value.is_some_and(|value| !value.is_null()))
            .collect()
    }

    /// Add the members of an object of texts, names in lower case.
    pub(crate) fn texts(&self, name: &str, into: &mut HashMap<String, String>) -> Result<(), RequestError> {
        let member = self.object(name)?;
        for (key, value) in member.value.and_then(Value::as_object).into_iter().flatten() {
            let text = value.as_str().ok_or_else(|| member.at(key).wrong("must be a string"))?;
            into.insert(key.to_ascii_lowercase(), text.to_owned());
        }
        Ok(())
    }
}
