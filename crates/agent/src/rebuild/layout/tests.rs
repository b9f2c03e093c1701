use std::collections::BTreeMap;

use super::moves::interruption;
use super::*;

struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = Self { folder };
        for dir in ["data", "data/app", "logs"] {
            fs::create_dir(place.at(dir)).unwrap();
        }
        for file in ["data/old", "data/app/t", "data/ca.pem", "data/auto.cnf"] {
            fs::write(place.at(file), file).unwrap();
        }
        for file in ["logs/bin.000001", "logs/bin.index", "logs/bin.state", "logs/else"] {
            fs::write(place.at(file), file).unwrap();
        }
        place
    }

    fn at(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn layout(&self, inside: bool, at: &str) -> Layout {
        let base = self.at("logs/bin").display().to_string();
        let server = "db3.example:3306".parse().unwrap();
        let bases = [&*base, "relay"];
        let mut layout = Layout::of(&server, &self.at("data"), bases, "7", at).unwrap();
        assert!(!layout.inside);
        if inside {
            put_inside(&mut layout, at);
        }
        layout
    }

    fn make(&self, layout: &Layout) {
        layout.make(true).unwrap();
        fs::write(layout.fresh.join("new"), "new").unwrap();
        fs::write(layout.fresh.join("auto.cnf"), "donor").unwrap();
        layout.finish().unwrap();
    }
}

/// As in a data directory that is a mount point.
fn put_inside(layout: &mut Layout, at: &str) {
    layout.inside = true;
    layout.making = layout.data_dir.join(".rebuild-7");
    layout.fresh = layout.making.join("data");
    layout.aside = layout.data_dir.join(format!(".before-rebuild-{at}"));
}

#[test]
fn the_new_data_takes_the_place_of_the_old_and_the_old_is_kept() {
    for inside in [false, true] {
        let place = Place::new();
        let layout = place.layout(inside, "20260101T000000Z");
        place.make(&layout);
        layout.exchange().unwrap();
        // A crash between two moves: doing it again changes nothing.
        layout.exchange().unwrap();
        assert!(place.at("data/new").exists() && !place.at("data/old").exists(), "{inside}");
        assert!(place.at("data/ca.pem").exists() && !place.at("data/auto.cnf").exists());
        assert!(layout.aside.join("old").exists() && layout.aside.join("app/t").exists());
        assert!(!place.at("logs/bin.000001").exists() && place.at("logs/else").exists());
        assert!(
            place
                .at("logs/db3_example-3306.logs-before-rebuild-20260101T000000Z/bin.state")
                .exists()
        );
        layout.clear().unwrap();
        assert!(!layout.making.exists());
        layout.remove_old().unwrap();
        assert!(!layout.aside.exists() && place.at("data/new").exists());
    }
}

#[test]
fn the_old_data_is_put_back_from_wherever_it_stopped() {
    for inside in [false, true] {
        for exchanged in [false, true] {
            let place = Place::new();
            let layout = place.layout(inside, "20260101T000000Z");
            place.make(&layout);
            if exchanged {
                layout.exchange().unwrap();
                fs::write(place.at("logs/bin.000001"), "begun").unwrap();
            } else if !inside {
                // Stopped between the two renames.
                fs::rename(&layout.data_dir, &layout.aside).unwrap();
            }
            layout.put_back().unwrap();
            layout.put_back().unwrap();
            layout.clear().unwrap();
            assert!(place.at("data/old").exists() && place.at("data/app/t").exists());
            assert!(!place.at("data/new").exists() && !layout.aside.exists());
            let log = fs::read_to_string(place.at("logs/bin.000001")).unwrap();
            assert_eq!(log, "logs/bin.000001", "{inside} {exchanged}");
        }
    }
}

#[test]
fn logs_that_were_on_their_way_when_it_stopped_are_not_taken_for_new_ones() {
    for back in [false, true] {
        let place = Place::new();
        let layout = place.layout(false, "20260101T000000Z");
        place.make(&layout);
        let aside = place.at("logs/db3_example-3306.logs-before-rebuild-20260101T000000Z");
        let (from, to) = if back {
            layout.exchange().unwrap();
            // All that the new data's server wrote is away.
            fs::remove_file(aside.join(LOGS_MARK)).unwrap();
            (aside.clone(), place.at("logs"))
        } else {
            fs::rename(&layout.data_dir, &layout.aside).unwrap();
            fs::create_dir(&aside).unwrap();
            (place.at("logs"), aside.clone())
        };
        fs::rename(from.join("bin.000001"), to.join("bin.000001")).unwrap();
        layout.put_back().unwrap();
        assert!(place.at("data/old").exists() && !aside.exists(), "{back}");
        for log in ["bin.000001", "bin.index", "bin.state"] {
            assert!(place.at("logs").join(log).exists(), "{back}: {log}");
        }
    }
}

#[test]
fn one_former_state_is_kept() {
    let place = Place::new();
    for name in ["20250101T000000Z", "20250601T000000Z", "by-hand"] {
        fs::create_dir(place.at(&format!("data.before-rebuild-{name}"))).unwrap();
    }
    let layout = place.layout(false, "20260101T000000Z");
    place.make(&layout);
    layout.exchange().unwrap();
    assert_eq!(layout.remove_older().unwrap().len(), 2);
    assert!(place.at("data.before-rebuild-by-hand").exists() && layout.aside.exists());
}

/// Every file with what is in it.
fn files(folder: &Path) -> BTreeMap<PathBuf, String> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(files(&path));
        } else {
            let text = fs::read_to_string(&path).unwrap();
            all.insert(path, text);
        }
    }
    all
}

/// A server with both kinds of logs in one directory, beside those of another server.
struct Shared {
    folder: tempfile::TempDir,
    layout: Layout,
    before: BTreeMap<PathBuf, String>,
}

const OLD: [&str; 9] = [
    "data/ibdata1",
    "data/app/t",
    "logs/bin.000001",
    "logs/bin.000002",
    "logs/bin.index",
    "logs/relay.000007",
    "logs/relay.index",
    "logs/other.000001",
    "logs/other.index",
];

impl Shared {
    fn new(inside: bool) -> Self {
        // In memory, where there is such a place: this is done many times.
        let memory = Path::new("/dev/shm");
        let folder = match memory.is_dir() {
            true => tempfile::tempdir_in(memory),
            false => tempfile::tempdir(),
        };
        let folder = folder.unwrap();
        for file in OLD {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, format!("old {file}")).unwrap();
        }
        let before = files(folder.path());
        let layout = Self::of(&folder, "db3:3306", "data", ["bin", "relay"], inside);
        layout.make(true).unwrap();
        fs::create_dir(layout.fresh.join("app")).unwrap();
        for file in ["ibdata1", "app/t", "new"] {
            fs::write(layout.fresh.join(file), "new").unwrap();
        }
        Self { folder, layout, before }
    }

    fn of(
        folder: &tempfile::TempDir,
        server: &str,
        data: &str,
        bases: [&str; 2],
        inside: bool,
    ) -> Layout {
        let bases = bases.map(|base| folder.path().join("logs").join(base).display().to_string());
        let (at, bases) = ("20260101T000000Z", [&*bases[0], &*bases[1]]);
        let data = folder.path().join(data);
        let mut layout = Layout::of(&server.parse().unwrap(), &data, bases, "7", at).unwrap();
        if inside {
            put_inside(&mut layout, at);
        }
        layout
    }

    /// Nothing of the old server is gone, wherever it is.
    fn has_all(&self, what: &str) {
        let now: Vec<String> = files(self.folder.path()).into_values().collect();
        for old in self.before.values() {
            assert!(now.contains(old), "{what}: {old:?} is lost");
        }
    }

    /// The server begins to write with its new data.
    fn writes(&self) {
        for file in ["bin.000001", "bin.index", "relay.000001"] {
            fs::write(self.folder.path().join("logs").join(file), "new").unwrap();
        }
    }
}

/// Whether it came to its end within so many steps.
fn interrupted(steps: u32, work: impl FnOnce() -> io::Result<()>) -> bool {
    interruption::after(steps);
    let done = work();
    interruption::never();
    match done {
        Ok(()) => false,
        Err(error) => {
            assert!(error.to_string().contains("interrupted"), "{error}");
            true
        }
    }
}

#[test]
fn wherever_the_way_there_and_the_way_back_stop_nothing_of_the_old_server_is_lost() {
    for inside in [false, true] {
        for there in 0.. {
            let mut all_there = false;
            for back in 0.. {
                let what = format!("inside: {inside}, stopped after {there} and {back}");
                let shared = Shared::new(inside);
                let layout = &shared.layout;
                all_there = !interrupted(there, || layout.exchange());
                shared.has_all(&what);
                if all_there {
                    shared.writes();
                }
                let all_back = !interrupted(back, || layout.put_back());
                shared.has_all(&what);
                for _ in 0..2 {
                    layout.put_back().unwrap();
                }
                layout.clear().unwrap();
                assert_eq!(files(shared.folder.path()), shared.before, "{what}");
                let left = names(shared.folder.path()).unwrap();
                assert_eq!(left.len(), 2, "{what}: {left:?}");
                if all_back {
                    break;
                }
            }
            if all_there {
                break;
            }
        }
    }
}

#[test]
fn a_way_there_that_stopped_can_be_gone_on_with() {
    for inside in [false, true] {
        for there in 0.. {
            let shared = Shared::new(inside);
            let stopped = interrupted(there, || shared.layout.exchange());
            shared.layout.exchange().unwrap();
            shared.has_all("gone on with");
            let data = shared.layout.data_dir.join("ibdata1");
            assert_eq!(fs::read_to_string(data).unwrap(), "new", "{inside} {there}");
            shared.layout.clear().unwrap();
            shared.layout.remove_old().unwrap();
            let left: Vec<PathBuf> = files(shared.folder.path()).into_keys().collect();
            let other = |path: &&PathBuf| path.to_string_lossy().contains("/logs/");
            assert_eq!(left.iter().filter(other).count(), 2, "{left:?}");
            if !stopped {
                break;
            }
        }
    }
}

#[test]
fn what_is_kept_of_another_server_of_the_host_is_left_alone() {
    let shared = Shared::new(false);
    shared.layout.exchange().unwrap();
    // The other one has logs there too, and its rebuild is later.
    let (folder, other) = (&shared.folder, "other-data");
    fs::create_dir(folder.path().join(other)).unwrap();
    let mut other = Shared::of(folder, "db3:3307", other, ["other", "other-relay"], false);
    other.aside = folder.path().join("other-data.before-rebuild-20260202T000000Z");
    other.make(true).unwrap();
    other.exchange().unwrap();
    assert_eq!(other.remove_older().unwrap(), Vec::<PathBuf>::new());
    other.clear().unwrap();
    other.remove_old().unwrap();
    shared.layout.put_back().unwrap();
    for (path, text) in &shared.before {
        if !path.to_string_lossy().contains("/other.") {
            assert_eq!(&fs::read_to_string(path).unwrap(), text, "{}", path.display());
        }
    }
}

#[test]
fn a_kept_directory_that_holds_something_else_stays() {
    let shared = Shared::new(false);
    shared.layout.exchange().unwrap();
    let note = shared.layout.logs_aside().next().unwrap().join("note");
    fs::write(&note, "a person's").unwrap();
    for _ in 0..2 {
        shared.layout.put_back().unwrap();
        shared.has_all("put back");
        assert!(note.exists());
    }
}

#[test]
fn what_somebody_made_in_its_place_is_not_replaced_and_not_taken_for_the_old() {
    let shared = Shared::new(false);
    let layout = &shared.layout;
    fs::rename(&layout.data_dir, &layout.aside).unwrap();
    fs::create_dir(&layout.data_dir).unwrap();
    fs::write(layout.data_dir.join("begun"), "by a supervisor").unwrap();
    assert!(layout.exchange().is_err());
    layout.put_back().unwrap();
    layout.clear().unwrap();
    assert_eq!(files(shared.folder.path()), shared.before);
}
