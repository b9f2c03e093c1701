//! What a client says of itself: its answer to a greeting, and `COM_CHANGE_USER`.
//!
//! Sources: "Protocol::HandshakeResponse41", "COM_CHANGE_USER" in MySQL's source documentation;
//! "Client Handshake Response" in MariaDB's manual.

use primacy_protocol::capability::{
    CONNECT_ATTRS, CONNECT_WITH_DB, LONG_PASSWORD, PLUGIN_AUTH, PLUGIN_AUTH_LENENC, PROTOCOL_41,
    SECURE_CONNECTION, SSL, ZSTD,
};
use primacy_protocol::packet::{Malformed, Reader};

use crate::walker::Agreed;

/// The most attributes that are kept of a client.
const MOST_ATTRIBUTES: usize = 512;

/// Attributes of a connection: names and values.
pub type Attributes = Vec<(Vec<u8>, Vec<u8>)>;

/// The answer to a greeting. The proof is not shown: over TLS it may be a password.
#[derive(Clone, PartialEq, Eq)]
pub struct FirstAnswer {
    /// What both can do.
    pub agreed: Agreed,
    /// Account name; bytes that are not UTF-8 are replaced.
    pub user: String,
    /// The plugin's first answer.
    pub proof: Vec<u8>,
    /// The plugin that the proof belongs to.
    pub plugin: String,
    /// Number of the collation; 0 if none was named.
    pub collation: u16,
    /// The schema that is wanted.
    pub database: Option<Vec<u8>>,
    /// Attributes of the connection.
    pub attributes: Attributes,
    /// Compression level for Zstandard, 1 to 22; 0 without.
    pub zstd_level: u8,
}

impl std::fmt::Debug for FirstAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FirstAnswer")
            .field("agreed", &self.agreed)
            .field("user", &self.user)
            .field("plugin", &self.plugin)
            .finish_non_exhaustive()
    }
}

impl FirstAnswer {
    /// Reads a client's first packet; `None` if it wants TLS first. `offered` is what the greeting
    /// said, of which the client's wishes beyond are ignored as servers do.
    pub fn parse(packet: &[u8], offered: Agreed, mariadb: bool) -> Result<Option<Self>, Malformed> {
        let mut reader = Reader::new(packet);
        let wanted = reader.u32()?;
        if wanted & PROTOCOL_41 == 0 {
            return Err(Malformed("the client does not speak protocol 4.1".to_owned()));
        }
        reader.u32()?; // The longest packet that it takes.
        let collation = u16::from(reader.u8()?);
        reader.bytes(19)?;
        let extended = reader.u32()?;
        if wanted & SSL != 0 && reader.is_empty() {
            return Ok(None);
        }
        let mut flags = u64::from(wanted);
        if mariadb && wanted & LONG_PASSWORD == 0 {
            flags |= u64::from(extended) << 32;
        }
        // What the packet has follows from what the client says, not from what was agreed.
        let says = Agreed::new(flags);
        let user = text(reader.nul_bytes()?);
        let proof = proof(&mut reader, says)?;
        let database = database(&mut reader, says.has(CONNECT_WITH_DB))?;
        let plugin = plugin(&mut reader, says);
        let attributes = attributes(&mut reader, says)?;
        let zstd_level = if says.has(ZSTD) && !reader.is_empty() { reader.u8()? } else { 0 };
        let agreed = Agreed::new(flags & offered.flags());
        Ok(Some(Self { agreed, user, proof, plugin, collation, database, attributes, zstd_level }))
    }
}

/// What follows the code of `COM_CHANGE_USER`. The proof in it is dropped: the client is given a
/// new challenge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserChange {
    /// The new account name.
    pub user: String,
    /// The schema that is wanted.
    pub database: Option<Vec<u8>>,
    /// Number of the collation; 0 if none was named.
    pub collation: u16,
    /// Attributes of the connection.
    pub attributes: Attributes,
}

impl UserChange {
    /// Reads it, as what was agreed at login says.
    pub fn parse(argument: &[u8], agreed: Agreed) -> Result<Self, Malformed> {
        let mut reader = Reader::new(argument);
        let user = text(reader.nul_bytes()?);
        // The proof has one byte of length here, whatever was agreed.
        let length = usize::from(reader.u8()?);
        reader.bytes(length)?;
        let database = database(&mut reader, true)?;
        let collation = if reader.is_empty() { 0 } else { reader.u16()? };
        plugin(&mut reader, agreed);
        let attributes = attributes(&mut reader, agreed)?;
        Ok(Self { user, database, collation, attributes })
    }

    pub(super) fn into_answer(self, agreed: Agreed) -> FirstAnswer {
        FirstAnswer {
            agreed,
            user: self.user,
            proof: Vec::new(),
            plugin: String::new(),
            collation: self.collation,
            database: self.database,
            attributes: self.attributes,
            zstd_level: 0,
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn proof(reader: &mut Reader<'_>, says: Agreed) -> Result<Vec<u8>, Malformed> {
    Ok(if says.has(PLUGIN_AUTH_LENENC) {
        reader.lenenc_bytes()?.to_vec()
    } else if says.has(SECURE_CONNECTION) {
        let length = usize::from(reader.u8()?);
        reader.bytes(length)?.to_vec()
    } else {
        reader.nul_bytes()?.to_vec()
    })
}

/// Some clients set the flag and leave the name out.
fn database(reader: &mut Reader<'_>, named: bool) -> Result<Option<Vec<u8>>, Malformed> {
    if !named || reader.is_empty() {
        return Ok(None);
    }
    let name = reader.nul_bytes()?;
    Ok((!name.is_empty()).then(|| name.to_vec()))
}

/// Some clients leave out its NUL.
fn plugin(reader: &mut Reader<'_>, says: Agreed) -> String {
    if !says.has(PLUGIN_AUTH) {
        return String::new();
    }
    let mut ahead = reader.clone();
    match ahead.nul_bytes() {
        Ok(name) => {
            *reader = ahead;
            text(name)
        }
        Err(_) => text(reader.rest()),
    }
}

fn attributes(reader: &mut Reader<'_>, says: Agreed) -> Result<Attributes, Malformed> {
    let mut found = Vec::new();
    if !says.has(CONNECT_ATTRS) || reader.is_empty() {
        return Ok(found);
    }
    let mut block = Reader::new(reader.lenenc_bytes()?);
    while !block.is_empty() && found.len() < MOST_ATTRIBUTES {
        let (name, value) = (block.lenenc_bytes()?, block.lenenc_bytes()?);
        found.push((name.to_vec(), value.to_vec()));
    }
    Ok(found)
}
