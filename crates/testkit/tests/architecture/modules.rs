//! A crate's modules, the files that they are in, and what each imports from which.
//!
//! In: the file of a crate's root. Out: for every path in the code that leads to another module of the crate, the file that
//! defines what it leads to: `use`, paths in expressions and types, and paths within macros. Re-exports are followed.
//! What is only built for tests (`#[cfg(test)]`) is not read. A child that is merely declared is not imported.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use syn::{
    Attribute, Item, ItemMod, UseTree,
    visit::{self, Visit},
};

/// A module's path from the root, which has none.
pub(crate) type Name = Vec<String>;

/// Longer chains of re-exports are not followed: they could lead in a circle.
const LONGEST_CHAIN: usize = 16;

#[derive(Debug, Default)]
pub(crate) struct Crate(BTreeMap<Name, Module>);

#[derive(Debug, Default)]
struct Module {
    /// The module that its file is named after: another one where it is written inline.
    file: Name,
    /// What names of other places mean here, by `use`.
    names: BTreeMap<String, Name>,
    globs: Vec<Name>,
    defined: BTreeSet<String>,
    /// All paths in its code.
    paths: BTreeSet<Name>,
}

/// Reads the crate whose root is that file.
pub(crate) fn read(root: &Path) -> Crate {
    let mut reader = Reader { modules: Crate::default(), at: Name::new(), children: root.parent().unwrap().to_owned() };
    reader.file(root, Name::new());
    reader.modules
}

impl Crate {
    pub(crate) fn files(&self) -> impl Iterator<Item = Name> {
        self.0.values().map(|module| module.file.clone())
    }

    /// Pairs of files: who imports, and who defines what is imported.
    pub(crate) fn imports(&self) -> BTreeSet<(Name, Name)> {
        let mut imports = BTreeSet::new();
        for (name, module) in &self.0 {
            let uses = module.names.values().chain(&module.globs);
            for path in module.paths.iter().chain(uses) {
                if let Some(to) = self.find(name, path, 0) {
                    imports.insert((module.file.clone(), to));
                }
            }
        }
        imports
    }

    /// The file that defines what `path` means in the module `at`; `None` where that isn't in this crate.
    fn find(&self, at: &Name, path: &[String], chain: usize) -> Option<Name> {
        let (first, rest) = path.split_first()?;
        match first.as_str() {
            "crate" => self.walk(&Name::new(), rest, chain),
            "self" => self.walk(at, rest, chain),
            "super" => self.walk(&at[..at.len().checked_sub(1)?].to_vec(), rest, chain),
            _ => self.known(at, path, chain),
        }
    }

    /// What `path` means from the module `at` on, which is in this crate.
    fn walk(&self, at: &Name, path: &[String], chain: usize) -> Option<Name> {
        let Some((first, rest)) = path.split_first() else { return Some(self.0.get(at)?.file.clone()) };
        if first == "super" {
            return self.walk(&at[..at.len().checked_sub(1)?].to_vec(), rest, chain);
        }
        // What nothing defines, such as a macro's own, is the module's.
        self.known(at, path, chain).or_else(|| Some(self.0.get(at)?.file.clone()))
    }

    /// What `path` means by the names that are known in the module `at`.
    fn known(&self, at: &Name, path: &[String], chain: usize) -> Option<Name> {
        let (first, rest) = path.split_first()?;
        let module = self.0.get(at).filter(|_| chain < LONGEST_CHAIN)?;
        let child = [&at[..], std::slice::from_ref(first)].concat();
        if self.0.contains_key(&child) {
            return self.walk(&child, rest, chain);
        }
        if module.defined.contains(first) {
            return Some(module.file.clone());
        }
        if let Some(target) = module.names.get(first) {
            return self.find(at, &[&target[..], rest].concat(), chain + 1);
        }
        module.globs.iter().find_map(|glob| {
            let of = self.module(at, glob)?;
            (of != *at).then(|| self.known(&of, path, chain + 1))?
        })
    }

    /// The module that a glob imports from.
    fn module(&self, at: &Name, glob: &[String]) -> Option<Name> {
        let mut of = match glob.first()?.as_str() {
            "crate" => Name::new(),
            "super" => at[..at.len().checked_sub(1)?].to_vec(),
            "self" => at.clone(),
            child => [&at[..], &[child.to_owned()]].concat(),
        };
        for step in &glob[1..] {
            match step.as_str() {
                "super" => drop(of.pop()?),
                step => of.push(step.to_owned()),
            }
        }
        self.0.contains_key(&of).then_some(of)
    }
}

/// Walks through the files.
#[derive(Debug)]
struct Reader {
    modules: Crate,
    /// The module that is being read.
    at: Name,
    /// Where the files of its children are.
    children: PathBuf,
}

impl Reader {
    fn file(&mut self, path: &Path, file: Name) {
        let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let parsed = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        self.items(&parsed.items, file);
    }

    fn items(&mut self, items: &[Item], file: Name) {
        self.modules.0.insert(self.at.clone(), Module { file, ..Module::default() });
        for item in items {
            self.visit_item(item);
        }
    }

    fn module(&mut self) -> &mut Module {
        self.modules.0.entry(self.at.clone()).or_default()
    }

    fn declared(&mut self, module: &ItemMod) {
        let name = module.ident.to_string();
        let before = (self.at.clone(), self.children.clone());
        let file = self.module().file.clone();
        self.at.push(name.clone());
        self.children.push(&name);
        match &module.content {
            Some((_, items)) => self.items(items, file),
            None => {
                let beside = before.1.join(format!("{name}.rs"));
                let path = if beside.is_file() { beside } else { self.children.join("mod.rs") };
                self.file(&path, self.at.clone());
            }
        }
        (self.at, self.children) = before;
    }

    fn imported(&mut self, tree: &UseTree, mut path: Name) {
        match tree {
            UseTree::Path(step) => {
                path.push(step.ident.to_string());
                self.imported(&step.tree, path);
            }
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.imported(tree, path.clone())),
            UseTree::Glob(_) => self.module().globs.push(path),
            UseTree::Name(name) => {
                let last = name.ident.to_string();
                if last != "self" {
                    path.push(last);
                }
                let Some(known_as) = path.last().cloned() else { return };
                self.module().names.insert(known_as, path);
            }
            UseTree::Rename(rename) => {
                if rename.ident != "self" {
                    path.push(rename.ident.to_string());
                }
                let known_as = match rename.rename.to_string() {
                    // Several may be imported without a name.
                    unnamed if unnamed == "_" => path.join("::"),
                    known_as => known_as,
                };
                self.module().names.insert(known_as, path);
            }
        }
    }

    /// The paths in what a macro is given or made of.
    fn tokens(&mut self, text: &str) {
        let is_part = |c: char| c.is_alphanumeric() || c == '_';
        let text: String = text.split("::").map(str::trim).collect::<Vec<_>>().join("::");
        for word in text.split(|c| !is_part(c) && c != ':') {
            let path: Name = word.split("::").map(|part| part.trim_matches(':').to_owned()).collect();
            if path.len() > 1 && path.iter().all(|part| !part.is_empty()) {
                self.module().paths.insert(path);
            }
        }
    }
}

impl Visit<'_> for Reader {
    fn visit_item(&mut self, item: &Item) {
        let (attributes, name) = match item {
            Item::Const(item) => (&item.attrs, Some(&item.ident)),
            Item::Enum(item) => (&item.attrs, Some(&item.ident)),
            Item::Fn(item) => (&item.attrs, Some(&item.sig.ident)),
            Item::Impl(item) => (&item.attrs, None),
            Item::Macro(item) => (&item.attrs, item.ident.as_ref()),
            Item::Mod(item) => (&item.attrs, None),
            Item::Static(item) => (&item.attrs, Some(&item.ident)),
            Item::Struct(item) => (&item.attrs, Some(&item.ident)),
            Item::Trait(item) => (&item.attrs, Some(&item.ident)),
            Item::Type(item) => (&item.attrs, Some(&item.ident)),
            Item::Union(item) => (&item.attrs, Some(&item.ident)),
            Item::Use(item) => (&item.attrs, None),
            other => return visit::visit_item(self, other),
        };
        if is_for_tests(attributes) {
            return;
        }
        if let Some(name) = name {
            self.module().defined.insert(name.to_string());
        }
        match item {
            Item::Mod(module) => self.declared(module),
            Item::Use(item) => self.imported(&item.tree, Name::new()),
            item => visit::visit_item(self, item),
        }
    }

    fn visit_path(&mut self, path: &syn::Path) {
        self.module().paths.insert(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &syn::Macro) {
        self.visit_path(&call.path);
        self.tokens(&call.tokens.to_string());
    }

    /// `pub(in crate::a)` is no import.
    fn visit_vis_restricted(&mut self, _: &syn::VisRestricted) {}
}

/// Whether it has `#[cfg(test)]`.
fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg") && attribute.parse_args::<syn::Path>().is_ok_and(|path| path.is_ident("test"))
    })
}

#[test]
fn paths_lead_to_the_file_that_defines_what_they_name() {
    let folder = tempfile::tempdir().unwrap();
    for (file, text) in [
        ("lib.rs", "mod a; mod b; mod c; pub use b::{B, deep::Deep as Renamed}; pub struct Root;"),
        ("a.rs", "use crate::{B, Renamed}; fn f() { println!(\"{}\", crate::c::f(super::Root)); other::f(B::new()) }"),
        ("b/mod.rs", "pub mod deep; pub struct B; mod inline { use super::super::c; fn f() { c::f() } }"),
        ("b/deep.rs", "pub struct Deep; #[cfg(test)] mod tests { use crate::a; }"),
        ("c.rs", "use std::fmt; pub fn f() { let crate_ = 1; fmt::f(crate_) }"),
    ] {
        let path = folder.path().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let modules = read(&folder.path().join("lib.rs"));
    let imports: Vec<_> =
        modules.imports().iter().map(|(from, to)| [from.join("::"), to.join("::")].join(" ")).collect();
    let expected = ["a ", "a b", "a b::deep", "a c", "b c"];
    let others: Vec<_> = imports.iter().filter(|pair| !pair.starts_with(' ')).map(String::as_str).collect();
    let others: Vec<_> = others.into_iter().filter(|pair| *pair != "a a" && *pair != "b b" && *pair != "c c").collect();
    assert_eq!(others, expected, "{imports:?}");
}
