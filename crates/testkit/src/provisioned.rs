//! Whether a test can have the server that it wants. A server that is missing is printed, and is a
//! failure where nothing may be left out.

use primacy_sandbox::{Error, find_installation};

/// Whether sandboxes of this server can be made here. If not, it says so; with `CI` or
/// `PRIMACY_REQUIRE_SERVERS` in the environment it ends the test.
#[expect(clippy::print_stdout, reason = "a test that did not run must be seen not to have run")]
pub fn is_provisioned(server: &str) -> bool {
    match find_installation(Some(server)) {
        Ok(_) => true,
        Err(Error::NotProvisioned { .. } | Error::NoServer) => {
            println!("SKIPPED: server {server} is not provisioned (cargo xtask servers {server})");
            let required = ["CI", "PRIMACY_REQUIRE_SERVERS"].map(std::env::var_os);
            assert!(
                required.iter().all(Option::is_none),
                "server {server} is required here and not provisioned"
            );
            false
        }
        Err(error) => panic!("{error}"),
    }
}
