//! Write commands as bytes. A write sets a document's form, so a command can be sent again.

use futures_util::{StreamExt, TryStreamExt, stream};
use mongodb::{
    Collection, Database,
    bson::{
        Document, RawArrayBuf, RawBsonRef, RawDocumentBuf,
        raw::{CStr, cstr},
    },
};

use super::documents::Guarded;
use crate::stores::StoreError;

/// Statements in one command.
const MOST_STATEMENTS: usize = 1000;
/// Bytes of statements in one command: the server takes 16 MB.
const MOST_BYTES: usize = 4 * 1024 * 1024;
/// Commands of one collection at a time.
const IN_FLIGHT: usize = 4;
/// Attempts of a write. Another owner may insert the same document first.
const ATTEMPTS: usize = 20;

/// MongoDB's code for a duplicate key.
pub(super) const DUPLICATE_KEY: i32 = 11000;

/// The collection to write to.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) database: Database,
    pub(super) collection: Collection<RawDocumentBuf>,
}

/// The result of a command.
struct Done {
    /// The number of documents that were found or inserted.
    matched: usize,
    /// Places of statements whose document's id is stored already.
    duplicates: Vec<usize>,
}

/// The names of a command and of its list of statements.
type Verb = (&'static CStr, &'static CStr);

const INSERT: Verb = (cstr!("insert"), cstr!("documents"));
const UPDATE: Verb = (cstr!("update"), cstr!("updates"));

impl Target {
    /// Inserts documents, and returns the places of those whose id is stored already.
    pub(super) async fn insert(&self, documents: &[RawDocumentBuf]) -> Result<Vec<usize>, StoreError> {
        Ok(self.run(INSERT, documents).await?.duplicates)
    }

    /// Writes each document, unless a newer form is stored.
    pub(super) async fn keep_newer(
        &self,
        documents: impl Iterator<Item = &Guarded>,
    ) -> Result<(), StoreError> {
        self.upsert(documents.map(Guarded::statement).collect()).await
    }

    /// Runs update statements that insert what is missing.
    pub(super) async fn upsert(&self, mut statements: Vec<RawDocumentBuf>) -> Result<(), StoreError> {
        for _ in 0..ATTEMPTS {
            let duplicates = self.run(UPDATE, &statements).await?.duplicates;
            if duplicates.is_empty() {
                return Ok(());
            }
            // Another owner inserted the document first: the next try finds it.
            statements = duplicates.into_iter().filter_map(|at| statements.get(at).cloned()).collect();
        }
        Err(StoreError::Contended)
    }

    /// Runs update statements, and returns how many found a document.
    pub(super) async fn update(&self, statements: &[RawDocumentBuf]) -> Result<usize, StoreError> {
        Ok(self.run(UPDATE, statements).await?.matched)
    }

    async fn run(&self, verb: Verb, statements: &[RawDocumentBuf]) -> Result<Done, StoreError> {
        let parts =
            parts(statements).map(|(first, part)| async move { self.run_one(verb, part, first).await });
        let parts: Vec<_> = parts.collect();
        let parts: Vec<Done> = stream::iter(parts).buffer_unordered(IN_FLIGHT).try_collect().await?;
        let matched = parts.iter().map(|done| done.matched).sum();
        Ok(Done { matched, duplicates: parts.into_iter().flat_map(|done| done.duplicates).collect() })
    }

    async fn run_one(
        &self,
        (name, list): Verb,
        statements: &[RawDocumentBuf],
        first: usize,
    ) -> Result<Done, StoreError> {
        let mut command = RawDocumentBuf::new();
        command.append(name, self.collection.name());
        command.append(cstr!("ordered"), false);
        command.append(cstr!("writeConcern"), durable());
        let mut array = RawArrayBuf::new();
        for statement in statements {
            array.push(RawBsonRef::Document(statement));
        }
        command.append(list, array);
        done(&self.database.run_raw_command(command).await?, first)
    }
}

/// The write concern of all writes.
pub(super) fn durable() -> RawDocumentBuf {
    let mut durable = RawDocumentBuf::new();
    durable.append(cstr!("w"), "majority");
    durable.append(cstr!("j"), true);
    durable
}

/// The statements in parts that each fit into one command, with the place of their first statement.
fn parts(statements: &[RawDocumentBuf]) -> impl Iterator<Item = (usize, &[RawDocumentBuf])> {
    let mut first = 0;
    std::iter::from_fn(move || {
        let rest = statements.get(first..).filter(|rest| !rest.is_empty())?;
        let mut bytes = 0;
        let fit = rest.iter().take(MOST_STATEMENTS).take_while(|statement| {
            bytes += statement.as_bytes().len();
            bytes <= MOST_BYTES
        });
        let part = rest.get(..fit.count().max(1))?;
        let at = first;
        first += part.len();
        Some((at, part))
    })
}

/// An answer that reports a failure, or can't be read.
pub(super) fn failed(answer: &dyn std::fmt::Display) -> StoreError {
    StoreError::backend(format!("the server answered {answer}"))
}

/// Reads the server's answer. Some statements may have failed.
fn done(answer: &Document, first: usize) -> Result<Done, StoreError> {
    if let Some(error) = answer.get("writeConcernError") {
        return Err(failed(error));
    }
    let mut duplicates = Vec::new();
    for error in answer.get_array("writeErrors").into_iter().flatten() {
        let error = error.as_document().ok_or_else(|| failed(error))?;
        match (error.get_i32("code"), error.get_i32("index").map(usize::try_from)) {
            (Ok(DUPLICATE_KEY), Ok(Ok(index))) => duplicates.push(first + index),
            _ => return Err(failed(error)),
        }
    }
    let matched = answer.get_i32("n").map(usize::try_from);
    match matched {
        Ok(Ok(matched)) => Ok(Done { matched, duplicates }),
        _ => Err(failed(answer)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_bounded_in_statements_and_bytes_and_leave_nothing_out() {
        let document = |bytes: usize| {
            let mut document = RawDocumentBuf::new();
            document.append(cstr!("x"), "x".repeat(bytes));
            document
        };
        let mut statements = vec![document(10); 2500];
        statements.extend(vec![document(MOST_BYTES / 2 - 100); 3]);
        statements.push(document(MOST_BYTES + 1));
        statements.push(document(1));
        let found: Vec<(usize, usize)> = parts(&statements).map(|(at, part)| (at, part.len())).collect();
        assert_eq!(found, [(0, 1000), (1000, 1000), (2000, 501), (2501, 2), (2503, 1), (2504, 1)]);
        assert_eq!(parts(&[]).count(), 0);
    }

    #[test]
    fn only_duplicates_are_no_failure() {
        use mongodb::bson::doc;
        let duplicate = doc! { "index": 3, "code": DUPLICATE_KEY, "errmsg": "E11000" };
        let partly = done(&doc! { "n": 9, "writeErrors": [duplicate.clone()] }, 1000)
            .unwrap_or_else(|_| unreachable!());
        assert_eq!((partly.matched, partly.duplicates), (9, vec![1003]));
        let other = doc! { "index": 4, "code": 121, "errmsg": "no" };
        assert!(done(&doc! { "n": 9, "writeErrors": [duplicate, other] }, 0).is_err());
        assert!(done(&doc! { "n": 9, "writeConcernError": { "code": 64 } }, 0).is_err());
        assert!(done(&doc! {}, 0).is_err());
    }
}
