//! `primacy topology`: who replicates from whom, as a tree.

use std::collections::BTreeSet;

use primacy_api::{ClusterView, ServerRole, ServerView};
use primacy_types::Address;

use crate::look::Look;
use crate::paint;

/// One cluster.
pub(crate) fn render(view: &ClusterView, look: &Look) -> String {
    let mut tree = Tree { view, look, drawn: BTreeSet::new(), text: String::new() };
    tree.text = format!(
        "{}  {}  epoch {}\n",
        paint::strong(&view.name),
        paint::health(&view.health),
        view.epoch
    );
    let is_ours = |a: &Address| view.servers.iter().any(|s| s.address == *a);
    let is_primary = |s: &&ServerView| s.role == ServerRole::Primary;
    let is_root = |s: &&ServerView| !s.source.as_ref().is_some_and(is_ours);
    // Servers that replicate in a circle have no root: the first of them is drawn as one.
    for server in view
        .servers
        .iter()
        .filter(is_primary)
        .chain(view.servers.iter().filter(is_root))
        .chain(&view.servers)
    {
        if !tree.drawn.contains(&server.address) {
            tree.draw(server, "", "");
        }
    }
    tree.text
}

struct Tree<'a> {
    view: &'a ClusterView,
    look: &'a Look,
    drawn: BTreeSet<Address>,
    text: String,
}

impl Tree<'_> {
    /// Draws a server after `first`, and what is below it after `rest`.
    fn draw(&mut self, server: &ServerView, first: &str, rest: &str) {
        let mut line = format!("{first}{}  {}", paint::strong(&server.address), server.status);
        if let Some(lag) = server.lag_seconds.filter(|lag| *lag > 0) {
            line.push_str(&format!(", {lag} s behind"));
        }
        if let Some(site) = &server.site {
            line.push_str(&format!("  [{site}]"));
        }
        if !self.drawn.insert(server.address.clone()) {
            self.text.push_str(&format!("{line}  (a circle: see above)\n"));
            return;
        }
        // The root of a tree that itself reads from somewhere.
        if first.is_empty()
            && let Some(source) = &server.source
        {
            line.push_str(&format!("  reads from {source}"));
        }
        self.text.push_str(&format!("{line}\n"));
        let below: Vec<_> = self
            .view
            .servers
            .iter()
            .filter(|s| s.source.as_ref() == Some(&server.address))
            .collect();
        for (i, replica) in below.iter().enumerate() {
            let (branch, stem) = if i + 1 == below.len() {
                (self.look.either("└─ ", "`- "), "   ")
            } else {
                (self.look.either("├─ ", "|- "), self.look.either("│  ", "|  "))
            };
            self.draw(replica, &format!("{rest}{branch}"), &format!("{rest}{stem}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use primacy_plan::testing::{addr, cluster};

    use super::*;
    use crate::look::Charset;
    use crate::render::testing::{stripped, view};

    fn shown(view: &ClusterView, charset: Charset) -> String {
        stripped(&render(view, &Look { charset, ..Look::plain() }))
    }

    #[test]
    fn a_chain_below_the_primary() {
        let mut world = cluster(["a", "b", "c", "d"]);
        world.channel("c").source = addr("b");
        world.channel("c").lag_seconds = Some(7);
        let mut view = view(&world);
        view.servers[3].site = Some("north".into());
        assert_snapshot!(shown(&view, Charset::Unicode), @"
        c1  healthy  epoch 1
        a:3306  Primary, Running
        ├─ b:3306  Relay Primary, Replica, Running
        │  └─ c:3306  Replica, Running, 7 s behind
        └─ d:3306  Replica, Running  [north]
        ");
        assert_snapshot!(shown(&view, Charset::Ascii), @"
        c1  healthy  epoch 1
        a:3306  Primary, Running
        |- b:3306  Relay Primary, Replica, Running
        |  `- c:3306  Replica, Running, 7 s behind
        `- d:3306  Replica, Running  [north]
        ");
    }

    #[test]
    fn co_primaries_are_drawn_once_each() {
        let mut world = cluster(["a", "b", "c"]);
        let back = world.channel("b").clone();
        world.facts("a").channels = vec![back];
        world.channel("a").source = addr("b");
        assert_snapshot!(shown(&view(&world), Charset::Unicode), @"
        c1  healthy  epoch 1
        a:3306  Primary, Running  reads from b:3306
        ├─ b:3306  Relay Primary, Replica, Running
        │  └─ a:3306  Primary, Running  (a circle: see above)
        └─ c:3306  Replica, Running
        ");
    }

    #[test]
    fn strangers_and_the_dead_have_trees_of_their_own() {
        let mut world = cluster(["a", "b", "c"]);
        world.channel("b").source = "elsewhere:3306".parse().unwrap();
        world.channel("b").source_server_id = 99;
        world.server("c").facts = None;
        assert_snapshot!(shown(&view(&world), Charset::Unicode), @"
        c1  degraded  epoch 1
        a:3306  Primary, Running
        b:3306  Replica, Running  reads from elsewhere:3306
        c:3306  Running
        ");
    }
}
