//! What a client sends to log in.

use crate::capability;

/// `utf8mb4_general_ci`: known to every server since MySQL 5.5.3.
pub(super) const UTF8MB4_GENERAL_CI: u8 = 45;

/// The answer to the greeting, in protocol 4.1.
pub struct LoginRequest<'a> {
    /// The agreed capabilities.
    pub capabilities: u32,
    /// The longest packet that the client takes.
    pub max_packet: u32,
    /// Account name.
    pub user: &'a str,
    /// The plugin's first answer.
    pub auth: &'a [u8],
    /// Default database.
    pub database: Option<&'a str>,
    /// The plugin that `auth` belongs to.
    pub plugin: &'a str,
    /// Attributes of the connection, for people who look at the server's sessions.
    pub attributes: &'a [(&'a str, &'a str)],
}

impl LoginRequest<'_> {
    /// The packet. Texts end at their first NUL, which the protocol cannot carry.
    pub fn to_bytes(&self) -> Vec<u8> {
        let has = |flag| self.capabilities & flag != 0;
        let mut out = tls_request(self.capabilities, self.max_packet);
        put_nul(&mut out, self.user);
        if has(capability::PLUGIN_AUTH_LENENC) {
            put_lenenc_bytes(&mut out, self.auth);
        } else {
            let auth = &self.auth[..self.auth.len().min(255)];
            out.push(auth.len() as u8);
            out.extend_from_slice(auth);
        }
        if has(capability::CONNECT_WITH_DB) {
            put_nul(&mut out, self.database.unwrap_or_default());
        }
        if has(capability::PLUGIN_AUTH) {
            put_nul(&mut out, self.plugin);
        }
        if has(capability::CONNECT_ATTRS) {
            let mut attributes = Vec::new();
            for (name, value) in self.attributes {
                put_lenenc_bytes(&mut attributes, name.as_bytes());
                put_lenenc_bytes(&mut attributes, value.as_bytes());
            }
            put_lenenc_bytes(&mut out, &attributes);
        }
        out
    }
}

/// The head of a login, which alone is the request to switch to TLS.
pub fn tls_request(capabilities: u32, max_packet: u32) -> Vec<u8> {
    let mut out = Vec::with_capacity(128);
    out.extend_from_slice(&capabilities.to_le_bytes());
    out.extend_from_slice(&max_packet.to_le_bytes());
    out.push(UTF8MB4_GENERAL_CI);
    out.extend_from_slice(&[0; 23]);
    out
}

/// Appends a length-encoded integer.
pub fn put_lenenc_int(out: &mut Vec<u8>, number: u64) {
    let bytes = number.to_le_bytes();
    match number {
        0..=0xFA => out.push(bytes[0]),
        0xFB..=0xFFFF => {
            out.push(0xFC);
            out.extend_from_slice(&bytes[..2]);
        }
        0x1_0000..=0xFF_FFFF => {
            out.push(0xFD);
            out.extend_from_slice(&bytes[..3]);
        }
        _ => {
            out.push(0xFE);
            out.extend_from_slice(&bytes);
        }
    }
}

/// Appends a length-encoded string.
pub fn put_lenenc_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_lenenc_int(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Appends a text and the NUL that ends it.
pub(super) fn put_nul(out: &mut Vec<u8>, text: &str) {
    out.extend(text.bytes().take_while(|byte| *byte != 0));
    out.push(0);
}
