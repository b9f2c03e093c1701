//! Who has a word in whether a failover is begun, besides the rules: the commands that exclude others by
//! locks of their own.

use std::any::Any;

use async_trait::async_trait;
use primacy_types::Address;

/// Asked before a failover that a manager begins by itself.
#[async_trait]
pub trait Admission: Send + Sync {
    /// Whether it may be begun, with these live replicas. What is returned is kept until it has ended.
    ///
    /// # Errors
    /// Why not now, as a sentence; it is asked again.
    async fn may_fail_over(
        &self,
        replicas: &[Address],
    ) -> Result<Box<dyn Any + Send + Sync>, String>;
}
