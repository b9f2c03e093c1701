//! Whether a server greets: a frozen one lets clients connect (the kernel does), and says nothing.

use std::time::Duration;

use primacy_types::Address;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Whether something at this address speaks first within the limit, as MySQL servers do.
pub(crate) async fn greets(address: &Address, limit: Duration) -> bool {
    let greet = async {
        let mut stream = TcpStream::connect((address.host(), address.port())).await.ok()?;
        let mut header = [0_u8; 5];
        stream.read_exact(&mut header).await.ok()
    };
    matches!(timeout(limit, greet).await, Ok(Some(_)))
}
