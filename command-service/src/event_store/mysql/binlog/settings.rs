//! The server's settings on which a reader of the binary log depends.

use super::BinlogError;

/// Reads them.
pub(super) const SETTINGS: &str = "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('log_bin', 'sync_binlog', \
    'innodb_flush_log_at_trx_commit', 'binlog_format', 'binlog_row_image', 'binlog_order_commits', 'server_uuid', 'gtid_mode', \
    'rpl_semi_sync_source_enabled', 'rpl_semi_sync_source_wait_point', 'rpl_semi_sync_master_enabled', \
    'rpl_semi_sync_master_wait_point')";

/// Some of a server's settings.
pub(super) struct Settings(pub(super) Vec<(String, String)>);

impl Settings {
    /// The setting's value, unless the server has dropped it.
    pub(super) fn value(&self, name: &str) -> Option<String> {
        self.0.iter().find(|(it, _)| it == name).map(|(_, value)| value.to_uppercase())
    }

    /// Each must have this value. A server that has dropped a setting has only the wanted value.
    pub(super) fn must_be(&self, wanted: &[(&str, &str)]) -> Result<(), BinlogError> {
        for (name, wanted) in wanted {
            if let Some(value) = self.value(name).filter(|value| value != wanted) {
                return Err(BinlogError::Unfit(format!("{name} is {value}, and must be {wanted}")));
            }
        }
        Ok(())
    }

    /// What a reader sends must not be taken back by a crash or a switch of the primary, and rows must be whole.
    pub(super) fn check(&self) -> Result<(), BinlogError> {
        self.must_be(&[
            ("log_bin", "ON"),
            ("sync_binlog", "1"),
            ("innodb_flush_log_at_trx_commit", "1"),
            ("binlog_format", "ROW"),
            ("binlog_row_image", "FULL"),
        ])?;
        for role in ["source", "master"] {
            let is = |name: &str, wanted: &str| {
                self.value(&format!("rpl_semi_sync_{role}_{name}")).as_deref() == Some(wanted)
            };
            if is("enabled", "ON") && is("wait_point", "AFTER_SYNC") {
                return Err(BinlogError::Unfit(format!(
                    "rpl_semi_sync_{role}_wait_point is AFTER_SYNC: the binary log shows what a switch of the primary takes back"
                )));
            }
        }
        Ok(())
    }
}
