//! What a server reads from a client that logs in.

use super::{Malformed, Reader};
use crate::capability;

/// The answer to a greeting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FirstAnswer {
    /// The client wants TLS first, and then sends its login.
    Tls,
    /// The login itself.
    Login(Login),
}

/// A login in protocol 4.1. The proof is not shown by `Debug`: over TLS it may be a password.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// What the client can do, as it says.
    pub capabilities: u32,
    /// Account name; bytes that are not UTF-8 are replaced.
    pub user: String,
    /// The plugin's first answer.
    pub proof: Vec<u8>,
    /// The plugin that the proof belongs to; empty where the client names none.
    pub plugin: String,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login")
            .field("capabilities", &format_args!("{:#010x}", self.capabilities))
            .field("user", &self.user)
            .field("plugin", &self.plugin)
            .finish_non_exhaustive()
    }
}

/// Parses the first packet of a client. Which fields it has follows from the flags at its front.
pub fn parse_first_answer(packet: &[u8]) -> Result<FirstAnswer, Malformed> {
    let mut reader = Reader::new(packet);
    let low = reader.u16()?;
    if u32::from(low) & capability::PROTOCOL_41 == 0 {
        return Err(Malformed::new("the client does not speak protocol 4.1"));
    }
    let capabilities = u32::from(low) | u32::from(reader.u16()?) << 16;
    reader.bytes(4 + 1 + 23)?; // Longest packet, character set, reserved.
    if capabilities & capability::SSL != 0 && reader.is_empty() {
        return Ok(FirstAnswer::Tls);
    }
    let has = |flag| capabilities & flag != 0;
    let user = String::from_utf8_lossy(reader.nul_bytes()?).into_owned();
    let proof = if has(capability::PLUGIN_AUTH_LENENC) {
        reader.lenenc_bytes()?.to_vec()
    } else if has(capability::SECURE_CONNECTION) {
        let length = usize::from(reader.u8()?);
        reader.bytes(length)?.to_vec()
    } else {
        reader.nul_bytes()?.to_vec()
    };
    if has(capability::CONNECT_WITH_DB) {
        // Some clients set the flag and leave the name out.
        let _name = if reader.is_empty() { &[] } else { reader.nul_bytes()? };
    }
    let plugin = if has(capability::PLUGIN_AUTH) {
        let rest = reader.rest();
        let name = rest.split(|byte| *byte == 0).next().unwrap_or(rest);
        String::from_utf8_lossy(name).into_owned()
    } else {
        String::new()
    };
    Ok(FirstAnswer::Login(Login { capabilities, user, proof, plugin }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::{LoginRequest, tls_request};
    use proptest::prelude::*;

    const FLAGS: u32 = capability::PROTOCOL_41
        | capability::SECURE_CONNECTION
        | capability::PLUGIN_AUTH
        | capability::CONNECT_WITH_DB;

    fn request(capabilities: u32) -> Vec<u8> {
        let request = LoginRequest {
            capabilities,
            max_packet: 1 << 24,
            user: "repl",
            auth: &[7; 20],
            database: Some("d"),
            plugin: "mysql_native_password",
            attributes: &[("a", "b")],
        };
        request.to_bytes()
    }

    #[test]
    fn what_our_client_sends_is_read() {
        for extra in [0, capability::PLUGIN_AUTH_LENENC | capability::CONNECT_ATTRS] {
            let capabilities = FLAGS | extra;
            let expected = Login {
                capabilities,
                user: "repl".to_owned(),
                proof: vec![7; 20],
                plugin: "mysql_native_password".to_owned(),
            };
            let read = parse_first_answer(&request(capabilities)).unwrap();
            assert_eq!(read, FirstAnswer::Login(expected));
        }
        let request = tls_request(FLAGS | capability::SSL, 1 << 24);
        assert_eq!(parse_first_answer(&request), Ok(FirstAnswer::Tls));
    }

    #[test]
    fn the_proof_is_not_shown() {
        let FirstAnswer::Login(login) = parse_first_answer(&request(FLAGS)).unwrap() else {
            panic!("no login")
        };
        assert!(!format!("{login:?}").contains("proof"));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>, cut in 0_usize..200) {
            let _ = parse_first_answer(&bytes);
            let mut torn = request(FLAGS);
            torn.truncate(cut);
            let _ = parse_first_answer(&torn);
        }
    }
}
