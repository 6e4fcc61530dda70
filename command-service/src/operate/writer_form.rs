//! Shows and raises the form of writing.

use serde_json::json;
use service_kit::{
    audit::{Act, operator},
    report::{Format, Verdict},
};

use crate::event_store::{Append as _, WriterForm, mysql::MySqlStore};

/// Arguments of `writer-form`.
#[derive(Clone, Debug, clap::Args)]
pub struct Arguments {
    /// Raise it to the form that this build knows.
    #[arg(long)]
    raise: bool,
    #[command(flatten)]
    format: Format,
}

impl Arguments {
    pub(super) async fn run(self, store: &MySqlStore) -> anyhow::Result<Verdict> {
        let WriterForm(known) = WriterForm::KNOWN;
        let mut older = None;
        if self.raise {
            let act = Act::begun(operator(), "raise-writer-form", known.to_string(), None);
            older = store.member_that_does_not_know(WriterForm::KNOWN).await?;
            if older.is_none() {
                store.raise_writer_form().await?;
            }
            act.ended(if older.is_none() { "raised" } else { "refused" });
        }
        let WriterForm(form) = store.writer_form().await?;
        let value = json!({"form": form, "known": known, "olderInstance": older});
        let text = match &older {
            Some(name) => {
                format!("The form of writing stays {form}: instance {name} knows only a lower one.")
            }
            None => format!("The form of writing is {form}; this build knows {known}."),
        };
        print!("{}", self.format.value(&value, text)?);
        Ok(if older.is_none() { Verdict::AsWanted } else { Verdict::NotAsWanted })
    }
}
