//! Writes to several collections in one command. The server runs them in order: a write is there only if all writes before
//! it are.

use mongodb::{
    Client,
    bson::{Bson, Document, RawArrayBuf, RawBsonRef, RawDocument, RawDocumentBuf, raw::cstr},
};

use super::{
    commands::{DUPLICATE_KEY, Target, durable, failed},
    documents::Guarded,
};
use crate::stores::StoreError;

/// The outcome of an ordered command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Written {
    /// All writes are done.
    All,
    /// A document was stored already, and the rest is not written; or an update found no document.
    Partly,
}

/// A command under construction.
#[derive(Default)]
pub(super) struct OrderedWrites {
    operations: RawArrayBuf,
    count: usize,
    namespaces: Vec<String>,
    /// Places of updates that must find a document.
    must_match: Vec<usize>,
}

impl OrderedWrites {
    /// Inserts documents that are not stored yet.
    pub(super) fn insert(&mut self, target: &Target, documents: impl Iterator<Item = RawDocumentBuf>) {
        for document in documents {
            let mut operation = RawDocumentBuf::new();
            operation.append(cstr!("insert"), self.namespace(target));
            operation.append(cstr!("document"), RawBsonRef::Document(&document));
            self.push(&operation);
        }
    }

    /// Writes each document, unless a newer form is stored.
    pub(super) fn keep_newer<'a>(&mut self, target: &Target, documents: impl Iterator<Item = &'a Guarded>) {
        for document in documents {
            let mut operation = RawDocumentBuf::new();
            operation.append(cstr!("update"), self.namespace(target));
            operation.append(cstr!("filter"), RawBsonRef::Document(document.filter()));
            operation.append(cstr!("updateMods"), RawBsonRef::Document(&document.update()));
            operation.append(cstr!("upsert"), true);
            self.push(&operation);
        }
    }

    /// Adds the statement of an update command, which must find its document.
    pub(super) fn update(&mut self, target: &Target, statement: &RawDocument) -> Result<(), StoreError> {
        let part = |name| statement.get_document(name).map_err(StoreError::backend);
        let (filter, update) = (part(cstr!("q"))?, part(cstr!("u"))?);
        let mut operation = RawDocumentBuf::new();
        operation.append(cstr!("update"), self.namespace(target));
        operation.append(cstr!("filter"), RawBsonRef::Document(filter));
        operation.append(cstr!("updateMods"), RawBsonRef::Document(update));
        self.must_match.push(self.count);
        self.push(&operation);
        Ok(())
    }

    /// Runs the command.
    pub(super) async fn run(self, client: &Client) -> Result<Written, StoreError> {
        if self.count == 0 {
            return Ok(Written::All);
        }
        let mut command = RawDocumentBuf::new();
        command.append(cstr!("bulkWrite"), 1);
        command.append(cstr!("ops"), self.operations);
        let mut namespaces = RawArrayBuf::new();
        for namespace in &self.namespaces {
            let mut entry = RawDocumentBuf::new();
            entry.append(cstr!("ns"), namespace.as_str());
            namespaces.push(RawBsonRef::Document(&entry));
        }
        command.append(cstr!("nsInfo"), namespaces);
        command.append(cstr!("ordered"), true);
        command.append(cstr!("errorsOnly"), false);
        command.append(cstr!("writeConcern"), durable());
        let answer = client.database("admin").run_raw_command(command).await?;
        done(&answer, self.count, &self.must_match)
    }

    fn push(&mut self, operation: &RawDocument) {
        self.operations.push(RawBsonRef::Document(operation));
        self.count += 1;
    }

    /// The place of a collection in the command's list.
    fn namespace(&mut self, target: &Target) -> i32 {
        let name = target.collection.namespace().to_string();
        let place = self.namespaces.iter().position(|known| *known == name).unwrap_or_else(|| {
            self.namespaces.push(name);
            self.namespaces.len() - 1
        });
        i32::try_from(place).unwrap_or(i32::MAX)
    }
}

/// Reads the server's answer: one result for each operation, up to the first failure.
fn done(answer: &Document, operations: usize, must_match: &[usize]) -> Result<Written, StoreError> {
    if let Some(error) = answer.get("writeConcernError") {
        return Err(failed(error));
    }
    let results = answer.get_document("cursor").and_then(|cursor| cursor.get_array("firstBatch"));
    let results = results.map_err(|_| failed(answer))?;
    let number = |result: &Bson, name: &str| match result.as_document().and_then(|result| result.get(name)) {
        Some(Bson::Int32(number)) => Some(i64::from(*number)),
        Some(Bson::Int64(number)) => Some(*number),
        #[expect(clippy::cast_possible_truncation, reason = "a count that the server sends as a double")]
        Some(Bson::Double(number)) => Some(*number as i64),
        _ => None,
    };
    for result in results {
        if number(result, "ok") != Some(1) {
            return match number(result, "code") {
                Some(code) if code == i64::from(DUPLICATE_KEY) => Ok(Written::Partly),
                _ => Err(failed(result)),
            };
        }
    }
    if results.len() != operations {
        return Err(failed(answer));
    }
    let found = |at: &usize| results.get(*at).is_some_and(|result| number(result, "n") == Some(1));
    Ok(if must_match.iter().all(found) { Written::All } else { Written::Partly })
}

#[cfg(test)]
mod tests {
    use mongodb::bson::doc;

    use super::*;

    #[test]
    fn all_is_written_only_when_each_write_is_done_and_each_checkpoint_is_found() {
        let answer = |results: Vec<Document>| doc! { "ok": 1.0, "cursor": { "firstBatch": results } };
        let wrote = doc! { "ok": 1.0, "n": 1 };
        let found_none = doc! { "ok": 1.0, "n": 0 };
        let duplicate = doc! { "ok": 0.0, "code": DUPLICATE_KEY };
        let read = |results, operations| done(&answer(results), operations, &[1]);
        assert!(matches!(read(vec![wrote.clone(), wrote.clone()], 2), Ok(Written::All)));
        assert!(matches!(read(vec![wrote.clone(), found_none], 2), Ok(Written::Partly)));
        assert!(matches!(read(vec![duplicate], 2), Ok(Written::Partly)));
        assert!(read(vec![wrote.clone()], 2).is_err(), "a result is missing");
        assert!(read(vec![doc! { "ok": 0.0, "code": 121 }], 1).is_err());
        let mut unsure = answer(vec![wrote.clone(), wrote]);
        unsure.insert("writeConcernError", doc! { "code": 64 });
        assert!(done(&unsure, 2, &[]).is_err());
    }
}
