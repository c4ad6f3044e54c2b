//! `--help`: commands in groups, and for each command the common options that it uses.
//! The common options are accepted everywhere, before and after the command; those that a command ignores are left out of
//! its help.

use std::fmt::Write as _;

use clap::{Arg, Command, builder::Styles};

/// The heading of the options that several commands share.
const COMMON_OPTIONS: &str = "Common options";

/// A heading in `barkeep --help`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Group {
    Run,
    Data,
    Inspect,
    Administer,
}

impl Group {
    const ALL: [Self; 4] = [Self::Run, Self::Data, Self::Inspect, Self::Administer];

    fn heading(self) -> &'static str {
        match self {
            Self::Run => "Run",
            Self::Data => "Data",
            Self::Inspect => "Inspect",
            Self::Administer => "Administer",
        }
    }
}

const DATABASE: &[&str] = &["data_dir", "database_url", "config"];
const DATABASE_JSON: &[&str] = &["data_dir", "database_url", "config", "json"];
const FETCH: &[&str] = &["data_dir", "database_url", "as_of", "config", "simulated"];
const FETCH_JSON: &[&str] = &["data_dir", "database_url", "as_of", "config", "simulated", "json"];
const SERVE: &[&str] = &["data_dir", "database_url", "listen", "as_of", "config", "simulated", "json"];

/// Each command's group and the common options that it uses.
const COMMANDS: [(&str, Group, &[&str]); 25] = [
    ("up", Group::Run, SERVE),
    ("serve", Group::Run, SERVE),
    ("plan", Group::Run, FETCH_JSON),
    ("work", Group::Run, FETCH),
    ("market-sim", Group::Run, &["listen", "as_of", "config", "json"]),
    ("track", Group::Data, DATABASE_JSON),
    ("untrack", Group::Data, DATABASE_JSON),
    ("backfill", Group::Data, FETCH_JSON),
    ("refetch", Group::Data, FETCH_JSON),
    ("retry", Group::Data, DATABASE_JSON),
    ("export", Group::Data, DATABASE_JSON),
    ("status", Group::Inspect, DATABASE_JSON),
    ("coverage", Group::Inspect, DATABASE_JSON),
    ("gaps", Group::Inspect, DATABASE_JSON),
    ("runs", Group::Inspect, DATABASE_JSON),
    ("providers", Group::Inspect, DATABASE_JSON),
    ("verify", Group::Inspect, DATABASE_JSON),
    ("doctor", Group::Inspect, DATABASE_JSON),
    ("calendar", Group::Inspect, &["config", "json"]),
    ("migrate", Group::Administer, DATABASE_JSON),
    ("db", Group::Administer, DATABASE_JSON),
    ("keys", Group::Administer, &["data_dir", "config", "json"]),
    ("token", Group::Administer, DATABASE_JSON),
    ("user", Group::Administer, DATABASE),
    ("sign-in", Group::Administer, &["data_dir", "database_url", "listen", "config", "json"]),
];

/// Subcommands that use other common options than the command they belong to.
const SUBCOMMANDS: [(&str, &[&str]); 1] = [("user list", DATABASE_JSON)];

/// Help texts that say something else than usual for one command.
const OWN_TEXTS: [(&str, &str, &str); 2] = [
    ("market-sim", "listen", "Address and port to listen on [default: 127.0.0.1:9100]"),
    ("sign-in", "listen", "Address and port to link to when no server is running [default: 127.0.0.1:4780]"),
];

/// The command line as it is parsed and shown.
pub(super) fn with_help(command: Command) -> Command {
    let common: Vec<Arg> = command.get_arguments().filter(|arg| arg.is_global_set()).cloned().collect();
    let template = template(&command);
    command
        .help_template(template)
        .mut_subcommands(|subcommand| {
            let name = subcommand.get_name().to_owned();
            let used = COMMANDS.iter().find(|(command, ..)| *command == name).map_or(DATABASE_JSON, |(.., used)| *used);
            with_common(subcommand, &name, used, &common)
        })
        .after_help("Run 'barkeep COMMAND --help' for the arguments and options of a command.")
}

/// Gives a command the common options, and hides those that it ignores.
fn with_common(command: Command, path: &str, used: &[&str], common: &[Arg]) -> Command {
    let options = common.iter().map(|option| {
        let id = option.get_id().as_str();
        let text = OWN_TEXTS.iter().find(|(command, option, _)| (*command, *option) == (path, id));
        let option = option.clone().hide(!used.contains(&id)).help_heading(COMMON_OPTIONS);
        match text {
            Some((.., text)) => option.help(*text),
            None => option,
        }
    });
    command.args(options).mut_subcommands(|subcommand| {
        let path = format!("{path} {}", subcommand.get_name());
        let used = SUBCOMMANDS.iter().find(|(command, _)| *command == path).map_or(used, |(_, used)| *used);
        with_common(subcommand, &path, used, common)
    })
}

/// The top-level help, with the commands under their groups' headings.
fn template(command: &Command) -> String {
    let styles = Styles::default();
    let (header, literal) = (styles.get_header(), styles.get_literal());
    let width = command.get_subcommands().map(|command| command.get_name().len()).max().unwrap_or_default();
    let mut text = "{about-with-newline}\n{usage-heading} {usage}\n".to_owned();
    for group in Group::ALL {
        // Writing to a String can't fail.
        let _ = writeln!(text, "\n{header}{}:{header:#}", group.heading());
        for command in command.get_subcommands().filter(|command| group_of(command) == Some(group)) {
            let about = command.get_about().map(ToString::to_string).unwrap_or_default();
            let _ = writeln!(text, "  {literal}{:width$}{literal:#}  {about}", command.get_name());
        }
    }
    let _ = write!(text, "\n{header}Options:{header:#}\n{{options}}{{after-help}}");
    text
}

fn group_of(command: &Command) -> Option<Group> {
    COMMANDS.iter().find(|(name, ..)| *name == command.get_name()).map(|(_, group, _)| *group)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]
    use std::collections::BTreeSet;

    use clap::CommandFactory as _;

    use super::*;
    use crate::cli::Cli;

    fn help_of(path: &[&str]) -> String {
        let mut command = with_help(Cli::command());
        command.build();
        let mut shown = &mut command;
        for name in path {
            shown = shown.find_subcommand_mut(name).unwrap();
        }
        shown.render_long_help().to_string()
    }

    #[test]
    fn clap_finds_nothing_wrong_with_the_command_line() {
        with_help(Cli::command()).debug_assert();
    }

    #[test]
    fn every_command_is_in_one_group_and_every_group_is_shown() {
        let listed: Vec<&str> = COMMANDS.iter().map(|(name, ..)| *name).collect();
        let known: BTreeSet<String> = Cli::command().get_subcommands().map(|c| c.get_name().to_owned()).collect();
        assert_eq!(listed.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>(), known);
        assert_eq!(listed.len(), known.len(), "a command is listed twice");
        let help = help_of(&[]);
        for group in Group::ALL {
            assert!(help.contains(&format!("\n{}:\n", group.heading())), "{help}");
        }
        for name in known {
            assert_eq!(
                help.lines().filter(|line| line.starts_with(&format!("  {name} "))).count(),
                1,
                "{name}: {help}"
            );
        }
    }

    #[test]
    fn a_command_shows_its_own_options_first_and_of_the_common_ones_those_that_it_uses() {
        let common: Vec<Arg> = Cli::command().get_arguments().filter(|arg| arg.is_global_set()).cloned().collect();
        assert_eq!(common.len(), 7);
        for (name, _, used) in COMMANDS {
            let help = help_of(&[name]);
            let (own, shared) = help.split_once(COMMON_OPTIONS).unwrap_or_else(|| panic!("{name}: {help}"));
            for option in &common {
                let flag = format!("--{}", option.get_long().unwrap());
                let shown = shared.lines().any(|line| line.trim_start().starts_with(&flag));
                assert_eq!(shown, used.contains(&option.get_id().as_str()), "{name} {flag}: {help}");
                assert!(!own.lines().any(|line| line.trim_start().starts_with(&flag)), "{name} {flag}: {help}");
            }
        }
        assert!(help_of(&["user", "list"]).contains("--json") && !help_of(&["user", "add"]).contains("--json"));
        assert!(help_of(&["market-sim"]).contains("9100") && !help_of(&["up"]).contains("9100"));
        for (path, ids) in
            SUBCOMMANDS.iter().map(|(path, ids)| (*path, *ids)).chain(COMMANDS.map(|(n, _, ids)| (n, ids)))
        {
            assert!(ids.iter().all(|id| common.iter().any(|option| option.get_id() == id)), "{path}: {ids:?}");
        }
    }

    #[test]
    fn common_options_count_before_and_after_a_command_whether_it_uses_them_or_not() {
        use clap::FromArgMatches as _;
        let parse = |args: &str| {
            let matches = with_help(Cli::command()).try_get_matches_from(args.split(' ')).unwrap();
            Cli::from_arg_matches(&matches).unwrap().common
        };
        for args in [
            "barkeep --data-dir here --json status",
            "barkeep status --data-dir here --json",
            "barkeep --json user --data-dir here list",
            "barkeep user list --data-dir here --json",
        ] {
            let common = parse(args);
            assert!(common.json && common.data_dir.is_some_and(|dir| dir.ends_with("here")), "{args}");
        }
        assert_eq!(
            parse("barkeep keys --listen 127.0.0.1:1").listen,
            parse("barkeep --listen 127.0.0.1:1 keys").listen
        );
        assert!(parse("barkeep work --json").json);
    }
}
