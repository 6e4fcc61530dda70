//! stub
use super::StoreError;
/// stub
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LeaseRow { pub holder: Option<String>, pub epoch: u64, pub heartbeat: u64 }
/// stub
pub struct Leases;
impl Leases {
    pub async fn read(&self, _: &str) -> Result<LeaseRow, StoreError> { todo!() }
    pub async fn take(&self, _: &str, _: &LeaseRow, _: &str) -> Result<Option<u64>, StoreError> { todo!() }
    pub async fn renew(&self, _: &str, _: &str, _: u64) -> Result<bool, StoreError> { todo!() }
    pub async fn release(&self, _: &str, _: &str, _: u64) -> Result<bool, StoreError> { todo!() }
}
