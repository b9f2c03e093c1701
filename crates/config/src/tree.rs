//! The file as tables of read values: every key was looked up in the catalogue, misfits and
//! unknown names are noted. What the values mean together is no business of this module.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::catalogue::SECTIONS;
use crate::error::Problems;
use crate::model::ClusterName;
use crate::nearest::nearest;
use crate::schema::{Child, Section, child, join, names_at};
use crate::value::{Value, list};

/// A key that stands in the file.
pub(crate) struct Found {
    /// Nothing, if it was refused; the problem is noted then.
    pub(crate) value: Option<Value>,
    pub(crate) key_span: Range<usize>,
    pub(crate) value_span: Range<usize>,
}

/// One table of the file.
pub(crate) struct Table {
    /// Its header, for problems with what is missing.
    pub(crate) span: Range<usize>,
    pub(crate) values: BTreeMap<&'static str, Found>,
}

/// A whole file.
#[derive(Default)]
pub(crate) struct Tree {
    /// By path: `manager`, `defaults.tls`, `cluster.main`, `cluster.main.server[0]`, ...
    pub(crate) tables: BTreeMap<String, Table>,
    /// Clusters whose name is right, and where they begin.
    pub(crate) clusters: BTreeMap<ClusterName, Range<usize>>,
}

impl Tree {
    pub(crate) fn read(root: &DeTable<'_>, problems: &mut Problems<'_>) -> Self {
        let mut tree = Self::default();
        tree.walk(root, &Place::default(), problems);
        tree
    }

    /// The tables of a list below a cluster (`server`, `hook`), in the order of the file.
    pub(crate) fn list_of(
        &self,
        cluster: &ClusterName,
        list: &'static str,
    ) -> impl Iterator<Item = &Table> {
        (0..).map_while(move |n| self.tables.get(&format!("cluster.{cluster}.{list}[{n}]")))
    }

    /// Deep files do not come deep in here: only what the catalogue knows is followed.
    fn walk(&mut self, table: &DeTable<'_>, place: &Place, problems: &mut Problems<'_>) {
        let mut values = BTreeMap::new();
        for (key, value) in table.iter() {
            let name: &str = key.get_ref();
            let below = place.child(name);
            match child(&place.pattern, name) {
                Child::Key(known) => {
                    let read = Value::read(known, value, problems);
                    let (key_span, value_span) = (key.span(), value.span());
                    values.insert(known.name, Found { value: read, key_span, value_span });
                }
                Child::Reserved(reserved) => {
                    problems.add_eliding(&key.span(), reserved.reason, reserved.help);
                    let (key_span, value_span) = (key.span(), value.span());
                    values.insert(reserved.name(), Found { value: None, key_span, value_span });
                }
                // Looking for the name that was meant takes time; nobody will read so much.
                Child::Unknown if problems.is_full() => problems.count_one(),
                Child::Unknown => {
                    let (reason, help) = unknown(place, name, value.get_ref().is_table());
                    problems.add_eliding(&key.span(), reason, help);
                }
                Child::Table => {
                    if below.pattern == "cluster.*" {
                        self.begin_cluster(key, value, problems);
                    }
                    match value.get_ref() {
                        DeValue::Table(table) => {
                            self.walk(table, &below.spanning(value.span()), problems);
                        }
                        _ => problems.add_eliding(
                            &key.span(),
                            format!("`{name}` is a section, not a value"),
                            format!("write it as [{}]", below.concrete),
                        ),
                    }
                }
                Child::ListOfTables => self.walk_list(key, value, &below, problems),
            }
        }
        let span = place.span.clone();
        self.tables.insert(place.concrete.clone(), Table { span, values });
    }

    fn walk_list(
        &mut self,
        key: &Spanned<std::borrow::Cow<'_, str>>,
        value: &Spanned<DeValue<'_>>,
        place: &Place,
        problems: &mut Problems<'_>,
    ) {
        let tables = value.get_ref().as_array().map(|items| items.iter().collect::<Vec<_>>());
        let all_tables =
            |items: &Vec<&Spanned<DeValue<'_>>>| items.iter().all(|item| item.get_ref().is_table());
        let Some(tables) = tables.filter(all_tables) else {
            problems.add(
                &key.span(),
                format!("`{0}` is a list of sections, one for each {0}", key.get_ref()),
                format!("write [[{}]] above each, with double brackets", place.concrete),
            );
            return;
        };
        for (n, item) in tables.into_iter().enumerate() {
            if let DeValue::Table(table) = item.get_ref() {
                self.walk(table, &place.item(n, item.span()), problems);
            }
        }
    }

    fn begin_cluster(
        &mut self,
        key: &Spanned<std::borrow::Cow<'_, str>>,
        value: &Spanned<DeValue<'_>>,
        problems: &mut Problems<'_>,
    ) {
        match key.get_ref().parse() {
            Ok(name) => {
                self.clusters.insert(name, value.span());
            }
            Err(error) => {
                let shown = shown_name(key.get_ref());
                problems.add(
                    &key.span(),
                    format!("`{shown}` cannot name a cluster"),
                    format!("{error}"),
                );
            }
        }
    }
}

/// Where the walk is: the pattern to look up, and the path in this file.
#[derive(Default)]
struct Place {
    pattern: String,
    concrete: String,
    span: Range<usize>,
}

impl Place {
    fn child(&self, name: &str) -> Self {
        let dot = if self.concrete.is_empty() { "" } else { "." };
        let concrete = format!("{}{dot}{name}", self.concrete);
        Self { pattern: join(&self.pattern, name), concrete, span: self.span.clone() }
    }

    fn spanning(self, span: Range<usize>) -> Self {
        Self { span, ..self }
    }

    fn item(&self, n: usize, span: Range<usize>) -> Self {
        let pattern = format!("{}[]", self.pattern);
        Self { pattern, concrete: format!("{}[{n}]", self.concrete), span }
    }

    /// The path of a section as it would be written in this file.
    fn header_of(&self, section: &Section) -> String {
        let mut parts = self.concrete.splitn(3, '.');
        let here = match (parts.next(), parts.next()) {
            (Some("cluster"), Some(name)) => name,
            _ => "NAME",
        };
        let path = section.path.replace('*', here);
        match path.strip_suffix("[]") {
            Some(path) => format!("[[{path}]]"),
            None => format!("[{path}]"),
        }
    }
}

/// What to say about a name that is not known at a place.
fn unknown(place: &Place, name: &str, is_section: bool) -> (String, String) {
    let shown = shown_name(name);
    let reason = match (is_section, place.concrete.split('[').next().unwrap_or_default()) {
        (true, "") => format!("unknown section `{shown}`"),
        (false, "") => format!("unknown key `{shown}` outside of all sections"),
        (true, section) => format!("unknown section `{shown}` under `{section}`"),
        (false, section) => format!("unknown key `{shown}` in `{section}`"),
    };
    let here = names_at(&place.pattern);
    let elsewhere =
        |name: &str| SECTIONS.iter().find(|s| s.key(name).is_some()).map(|s| place.header_of(s));
    let all_keys = SECTIONS.iter().flat_map(|s| s.keys.iter().map(|k| k.name));
    let help = if let Some(section) = elsewhere(name) {
        format!("`{shown}` belongs to {section}")
    } else if let Some(near) = nearest(name, here.iter().copied()) {
        format!("did you mean `{near}`?")
    } else if let Some((near, section)) =
        nearest(name, all_keys).and_then(|near| Some((near, elsewhere(near)?)))
    {
        format!("did you mean `{near}`? It belongs to {section}")
    } else {
        format!("known here: {}", list(&here, "and"))
    };
    (reason, help)
}

/// A name from the file, fit to be shown.
fn shown_name(name: &str) -> String {
    let mut shown: String = name.chars().take(60).flat_map(char::escape_debug).collect();
    if name.chars().nth(60).is_some() {
        shown.push('…');
    }
    shown
}
