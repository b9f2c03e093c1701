//! Packets over a byte stream: reads and writes whole packets, with sequence numbers checked.

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::error::Fault;
use crate::frame::Framer;
use crate::packet::{ERR, parse_err};
use crate::socket::Pipe;

/// The longest packet that is taken before login; it keeps a web server's answer from being
/// waited for as a packet of five megabytes.
pub(crate) const LOGIN_LIMIT: usize = 64 * 1024;
/// The longest packet, and the largest answer, that is taken after login.
pub(crate) const ANSWER_LIMIT: usize = 256 * 1024 * 1024;

/// How much is asked of the socket at once.
const READ_SIZE: usize = 16 * 1024;

/// The largest buffer for packets to be sent that is kept for the next ones.
const KEPT_OUTPUT: usize = 1024 * 1024;

/// A byte stream on which packets travel.
pub(crate) struct PacketStream {
    pipe: Box<dyn Pipe>,
    framer: Framer,
    /// For what the peer says while packets are being sent to it.
    aside: Framer,
    input: BytesMut,
    output: BytesMut,
    limit: usize,
}

impl PacketStream {
    /// Before login.
    pub(crate) fn new(pipe: Box<dyn Pipe>) -> Self {
        Self {
            pipe,
            framer: Framer::default(),
            aside: Framer::default(),
            input: BytesMut::new(),
            output: BytesMut::new(),
            limit: LOGIN_LIMIT,
        }
    }

    /// After login, packets may be as long as an answer.
    pub(crate) fn lift_limit(&mut self) {
        self.set_limit(ANSWER_LIMIT);
    }

    /// The longest packet that is taken from now on.
    pub(crate) fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// The server's side puts TLS below: the byte stream, what must go on above TLS, and what was
    /// received already, which belongs to TLS.
    pub(crate) fn into_parts(self) -> (Box<dyn Pipe>, Framer, BytesMut) {
        (self.pipe, self.framer, self.input)
    }

    /// A new command: sequence numbers start from 0.
    pub(crate) fn restart(&mut self) {
        self.framer.restart();
    }

    /// The bare byte stream, to put TLS on it, and what must go on above TLS. Nothing may have been
    /// received yet: bytes before TLS are not to be believed after it.
    pub(crate) fn into_pipe(self) -> Result<(Box<dyn Pipe>, Framer), Fault> {
        if !self.input.is_empty() {
            let reason = "bytes came between the greeting and TLS";
            return Err(Fault::Protocol(reason.to_owned()));
        }
        Ok((self.pipe, self.framer))
    }

    /// Goes on above TLS.
    pub(crate) fn resume(pipe: Box<dyn Pipe>, framer: Framer) -> Self {
        Self { framer, ..Self::new(pipe) }
    }

    /// The next packet. An error packet out of order is a server's last word on a connection that
    /// it ends (shutdown, `KILL`, idle too long); any other packet out of order is refused.
    pub(crate) async fn read(&mut self) -> Result<Bytes, Fault> {
        let packet = loop {
            if let Some(packet) = self.framer.decode(&mut self.input, self.limit)? {
                break packet;
            }
            self.fill().await?;
        };
        if packet.in_order {
            return Ok(packet.payload);
        }
        if packet.payload.first() == Some(&ERR)
            && let Ok(err) = parse_err(&packet.payload)
        {
            return Err(Fault::LastWord(err));
        }
        Err(Fault::Protocol(format!("a packet came out of order (number {})", packet.sequence)))
    }

    /// The next packet that the peer sends of its own while it is being sent to. Its sequence
    /// number says nothing, and ours go on as if it had not come.
    pub(crate) async fn read_aside(&mut self) -> Result<Bytes, Fault> {
        loop {
            if let Some(packet) = self.aside.decode(&mut self.input, self.limit)? {
                return Ok(packet.payload);
            }
            self.fill().await?;
        }
    }

    /// Waits for more bytes. Dropping the future loses none.
    pub(crate) async fn fill(&mut self) -> Result<(), Fault> {
        // For a long packet decode() has made room; many short ones are read at one go.
        if self.input.capacity() - self.input.len() < READ_SIZE / 4 {
            self.input.reserve(READ_SIZE);
        }
        if self.pipe.read_buf(&mut self.input).await? == 0 {
            return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into());
        }
        Ok(())
    }

    /// Sends a packet.
    pub(crate) async fn write(&mut self, payload: &[u8]) -> Result<(), Fault> {
        self.queue(&[payload]);
        self.flush().await
    }

    /// Puts a packet, given in parts, behind those that wait to be sent.
    pub(crate) fn queue(&mut self, parts: &[&[u8]]) {
        self.framer.encode_parts(parts, &mut self.output);
    }

    /// How many bytes wait to be sent.
    pub(crate) fn queued(&self) -> usize {
        self.output.len()
    }

    /// Sends what waits. When the future is dropped, the next call goes on where it was.
    pub(crate) async fn flush(&mut self) -> Result<(), Fault> {
        self.pipe.write_all_buf(&mut self.output).await?;
        self.pipe.flush().await?;
        if self.output.capacity() > KEPT_OUTPUT {
            self.output = BytesMut::new();
        }
        Ok(())
    }

    /// Sends a command: its code and its argument.
    pub(crate) async fn command(&mut self, code: u8, argument: &[u8]) -> Result<(), Fault> {
        self.framer.restart();
        let mut payload = Vec::with_capacity(argument.len() + 1);
        payload.push(code);
        payload.extend_from_slice(argument);
        match self.write(&payload).await {
            // The server may have said why before it closed: that word is worth more.
            Err(Fault::Io(error)) => match self.read().await {
                Err(word @ Fault::LastWord(_)) => Err(word),
                _ => Err(error.into()),
            },
            written => written,
        }
    }
}
