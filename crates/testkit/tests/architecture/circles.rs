//! Which modules import one another in a circle.
//!
//! In: a crate's modules. Out: circles, in words. A circle is no fault where it is made of one module and descendants of
//! it which, without that module, don't import one another in a circle: `alpaca/mod.rs` may use `alpaca/pages.rs`, which uses
//! what its parent defines. Anything else is, such as two siblings that import one another.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::modules::{Crate, Name};

/// Files by the name of their module, and what each imports.
#[derive(Debug, Default)]
pub(crate) struct Graph(BTreeMap<Name, BTreeSet<Name>>);

impl Graph {
    pub(crate) fn of(modules: &Crate) -> Self {
        let mut graph: BTreeMap<Name, BTreeSet<Name>> = modules.files().map(|file| (file, BTreeSet::new())).collect();
        for (from, to) in modules.imports() {
            if from != to {
                graph.entry(from).or_default().insert(to);
            }
        }
        Self(graph)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The shortest way from a module back to itself through `within`.
    fn shortest(&self, start: &Name, within: &BTreeSet<Name>) -> Option<Vec<Name>> {
        let mut came_from: BTreeMap<&Name, &Name> = BTreeMap::new();
        let mut queue = VecDeque::from([start]);
        while let Some(at) = queue.pop_front() {
            for next in self.0.get(at).into_iter().flatten().filter(|next| within.contains(*next)) {
                if next == start {
                    let mut way = vec![at.clone()];
                    while let Some(before) = came_from.get(way.last()?) {
                        way.push((*before).clone());
                    }
                    way.reverse();
                    return Some(way);
                }
                if !came_from.contains_key(next) {
                    came_from.insert(next, at);
                    queue.push_back(next);
                }
            }
        }
        None
    }

    fn reached(&self, start: &Name, within: &BTreeSet<Name>) -> BTreeSet<Name> {
        let (mut reached, mut queue) = (BTreeSet::new(), VecDeque::from([start]));
        while let Some(at) = queue.pop_front() {
            for next in self.0.get(at).into_iter().flatten().filter(|next| within.contains(*next)) {
                if reached.insert(next.clone()) {
                    queue.push_back(next);
                }
            }
        }
        reached
    }

    /// The sets of modules that all reach one another.
    fn knots(&self, within: &BTreeSet<Name>) -> Vec<BTreeSet<Name>> {
        let reached: BTreeMap<&Name, BTreeSet<Name>> =
            within.iter().map(|name| (name, self.reached(name, within))).collect();
        let mut knots: Vec<BTreeSet<Name>> = Vec::new();
        for name in within.iter().filter(|name| reached[*name].contains(*name)) {
            let knot: BTreeSet<Name> =
                reached[name].iter().filter(|other| reached[*other].contains(name)).cloned().collect();
            if !knots.contains(&knot) {
                knots.push(knot);
            }
        }
        knots
    }
}

/// The circles that may not be.
pub(crate) fn circles(graph: &Graph) -> Vec<String> {
    within(graph, &graph.0.keys().cloned().collect())
}

fn within(graph: &Graph, names: &BTreeSet<Name>) -> Vec<String> {
    let mut found = Vec::new();
    for knot in graph.knots(names) {
        let above_all = knot.iter().find(|top| knot.iter().all(|name| name.starts_with(top)));
        match above_all {
            Some(top) => {
                let others = knot.iter().filter(|name| *name != top).cloned().collect();
                found.extend(within(graph, &others));
            }
            None => {
                let shortest = knot.iter().filter_map(|name| graph.shortest(name, &knot)).min_by_key(Vec::len);
                let mut way: Vec<String> = shortest.expect("a way around").iter().map(word).collect();
                way.push(way[0].clone());
                found.push(format!("{} (of {} modules)", way.join(" -> "), knot.len()));
            }
        }
    }
    found
}

fn word(name: &Name) -> String {
    if name.is_empty() { "the crate's root".to_owned() } else { name.join("::") }
}

/// A graph of `from -> to` pairs.
fn graph(pairs: &[(&str, &str)]) -> Graph {
    let name = |text: &str| text.split("::").map(str::to_owned).collect::<Name>();
    let mut graph = Graph::default();
    for (from, to) in pairs {
        graph.0.entry(name(to)).or_default();
        graph.0.entry(name(from)).or_default().insert(name(to));
    }
    graph
}

#[test]
fn a_module_and_its_children_may_import_one_another() {
    let pairs = [("a", "a::x"), ("a::x", "a"), ("a", "a::y"), ("a::y", "a"), ("a::x", "a::y"), ("a::y", "b")];
    assert!(circles(&graph(&pairs)).is_empty());
}

#[test]
fn siblings_may_not_even_under_a_parent_that_imports_them() {
    assert_eq!(circles(&graph(&[("a", "b"), ("b", "a")])), ["a -> b -> a (of 2 modules)"]);
    let pairs = [("a", "a::x"), ("a::x", "a"), ("a::x", "a::y"), ("a::y", "a::x")];
    assert_eq!(circles(&graph(&pairs)), ["a::x -> a::y -> a::x (of 2 modules)"]);
}

#[test]
fn a_module_and_somebody_elses_child_may_not() {
    let pairs = [("a", "b::x"), ("b::x", "b"), ("b", "a")];
    assert_eq!(circles(&graph(&pairs)), ["a -> b::x -> b -> a (of 3 modules)"]);
}
