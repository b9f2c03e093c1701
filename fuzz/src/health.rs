//! What strangers ask a health address: the target of a request, and the answer as one who asks
//! reads it.

use primacy_health::{Answer, HealthUrl, Question};

pub(crate) fn target(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(question) = Question::parse(&text) {
        let written = question.to_string();
        assert!(written.is_ascii() && !written.contains([' ', '\r', '\n']), "{written:?}");
        assert_eq!(Question::parse(&written).as_ref(), Ok(&question), "{written}");
    }
    if let Ok(url) = text.parse::<HealthUrl>() {
        assert_eq!(url.to_string().parse().as_ref(), Ok(&url), "{url}");
    }
    if let Ok(answer) = serde_json::from_slice::<Answer>(bytes) {
        let written = serde_json::to_vec(&answer).expect("what was read can be written");
        let again = serde_json::from_slice::<Answer>(&written).expect("and read again");
        assert_eq!(answer, again);
    }
}
