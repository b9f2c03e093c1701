//! Blocks added and removed: everything else stays, byte by byte.

use primacy_mha_config::edit::{EditError, add_block, block_name, parameters, remove_block};

const FILE: &str = "\
# The shop.
[server default]
user=mha   ; the admin
password=secret

# first in Berlin
[server1]
hostname=db1
# candidate_master=1
port=3306

# second in Bonn
[server2]
hostname=db2

[server10]
hostname=db10
# the end
";

#[test]
fn a_block_is_added_at_the_end_with_its_hostname_first() {
    let parameters = parameters("candidate_master=1; port=3307").unwrap();
    let text = add_block(FILE, "server_db4", "db4", &parameters).unwrap();
    let added = "\n[server_db4]\nhostname=db4\ncandidate_master=1\nport=3307\n";
    assert_eq!(text, format!("{FILE}{added}"));
}

#[test]
fn line_endings_are_those_of_the_file() {
    for (file, added) in [
        ("[server1]\r\nhostname=a\r\n", "\r\n[server2]\r\nhostname=b\r\n"),
        ("[server1]\nhostname=a", "\n\n[server2]\nhostname=b\n"),
        ("[server1]\nhostname=a\n\n", "[server2]\nhostname=b\n"),
        ("", "[server2]\nhostname=b\n"),
    ] {
        assert_eq!(add_block(file, "server2", "b", &[]).unwrap(), format!("{file}{added}"));
    }
}

#[test]
fn a_block_is_removed_and_comments_about_others_stay() {
    let text = remove_block(FILE, "server1").unwrap().unwrap();
    let wanted = FILE.replace("[server1]\nhostname=db1\n# candidate_master=1\nport=3306\n", "");
    assert_eq!(text, wanted);
    assert_eq!(
        remove_block(FILE, "server2").unwrap().unwrap(),
        FILE.replace("[server2]\nhostname=db2\n", "")
    );
    assert_eq!(
        remove_block(FILE, "server10").unwrap().unwrap(),
        FILE.replace("[server10]\nhostname=db10\n", "")
    );
}

#[test]
fn a_block_that_stands_in_two_places_is_removed_from_both() {
    let file = "[server1]\nhostname=a\n[server2]\nhostname=b\n[server1]\nport=1\n";
    assert_eq!(remove_block(file, "server1").unwrap().unwrap(), "[server2]\nhostname=b\n");
}

#[test]
fn what_is_added_and_removed_again_leaves_the_file_as_it_was() {
    let added = add_block(FILE, "server4", "db4", &[]).unwrap();
    let removed = remove_block(&added, "server4").unwrap().unwrap();
    assert_eq!(removed.trim_end(), FILE.trim_end());
}

#[test]
fn a_block_that_is_not_there_is_no_change() {
    assert_eq!(remove_block(FILE, "server3").unwrap(), None);
}

#[test]
fn what_must_not_be_done_is_refused_with_its_reason() {
    let said = |result: Result<String, EditError>| result.unwrap_err().to_string();
    let set = |key: &str, value: &str| {
        add_block(FILE, "server9", "h", &[(key.to_owned(), value.to_owned())])
    };
    for (error, wanted) in [
        (said(add_block(FILE, "server1", "x", &[])), "[server1] is in the file already, in line 7"),
        (said(add_block(FILE, "server default", "x", &[])), "cannot be the block of a server"),
        (said(add_block(FILE, "server]", "x", &[])), "cannot be the block of a server"),
        (said(add_block(FILE, "server9", "", &[])), "`hostname` is empty"),
        (said(set("no_mster", "1")), "did you mean `no_master`?"),
        (said(set("ping_interval", "1")), "write it in [server default]"),
        (said(set("port", "x")), "takes a whole number from 1 to 65535"),
        (said(set("password", "a\n[server1]")), "cannot stand in such a file"),
        (said(set("password", "a ;b")), "cannot stand in such a file"),
    ] {
        assert!(error.contains(wanted), "{error}");
    }
    let refused = remove_block(FILE, "server default").unwrap_err().to_string();
    assert!(refused.contains("cannot be the block of a server"), "{refused}");
    assert!(parameters("a=1;b").unwrap_err().to_string().contains("write key=value"));
}

#[test]
fn names_of_blocks_are_made_as_mha_makes_them() {
    for (given, wanted) in [
        (None, "server_db1"),
        (Some(""), "server_db1"),
        (Some("server7"), "server7"),
        (Some("7"), "server7"),
    ] {
        assert_eq!(block_name(given, "db1"), wanted);
    }
}
