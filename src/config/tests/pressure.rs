//! What destinations can bear: rates, budgets, and what their answers mean.

use std::{num::NonZeroUsize, time::Duration};

use super::*;
use crate::{
    model::Order,
    outcome::{Class, Rule, Rules},
    rate::Window,
    template::Expression,
};

const DESTINATION: &str = "[destination.crm]";

fn window(limit: usize, seconds: u64) -> Window {
    Window { limit: NonZeroUsize::new(limit).unwrap(), length: Duration::from_secs(seconds) }
}

fn line(line: &str) -> String {
    minimal_with_line(DESTINATION, line)
}

#[test]
fn a_rate_is_one_window_or_several() {
    let rate = |text: &str| valid(&line(text)).destinations.remove(0).rate;
    assert_eq!(rate("rate = \"50/s\""), [window(50, 1)]);
    assert_eq!(rate("rate = [\"4/1s\", \"60/30s\", \"100/1h\"]"), [window(4, 1), window(60, 30), window(100, 3600)]);
    assert!(valid(MINIMAL).destinations[0].rate.is_empty());
}

#[test]
fn a_rate_that_is_none_is_told_how_to_write_one() {
    let expected = "error: \"fast\" | `rate` has to be a number of requests and a length of time, for example \"50/s\", \
                    \"4/1s\", \"100/m\", or a list of such | write `rate = \"50/s\"`";
    assert_eq!(only_problem(&line("rate = \"fast\"")), expected);
    for rate in ["\"0/s\"", "\"5/1ms\"", "\"5/365d\"", "[\"4/1s\", \"0/30s\"]", "[]", "5"] {
        let problem = only_problem(&line(&format!("rate = {rate}")));
        assert!(problem.starts_with("error: ") && problem.contains("`rate` has to "), "{problem}");
    }
}

#[test]
fn destinations_draw_from_a_budget_that_is_there() {
    let text = line("budget = \"account\"") + "\n[budget.account]\nrate = \"190/10s\"\nconcurrency = 10\n";
    let config = valid(&text);
    assert_eq!(config.destinations[0].budget.as_ref().map(ToString::to_string), Some("account".into()));
    assert_eq!(config.budgets[0].rate, [window(190, 10)]);
    assert_eq!(config.budgets[0].concurrency, NonZeroUsize::new(10));

    let missing = only_problem(&line("budget = \"acount\""));
    assert_eq!(missing, "error: \"acount\" | there is no budget `acount` | write a section `[budget.acount]`");
    let slip = line("budget = \"acount\"") + "\n[budget.account]\nrate = \"1/s\"\n";
    assert_eq!(only_problem(&slip), "error: \"acount\" | there is no budget `acount` | did you mean `account`?");
    let empty = line("budget = \"account\"") + "\n[budget.account]\n";
    assert!(only_problem(&empty).ends_with("[budget.account] limits nothing | write `rate = \"100/m\"`"));
}

#[test]
fn rules_are_read_in_their_order() {
    let text = format!(
        "{MINIMAL}\n[[destination.crm.outcome]]\nwhen = \"status == 409\"\nclass = \"duplicate\"\n\
         [[destination.crm.outcome]]\nwhen = \"'429' in text\"\nclass = \"throttled\"\npause = \"15m\"\n"
    );
    let rule = |when: &str, class| Rule { when: Expression::compile(when).unwrap(), class };
    let pause = Some(Duration::from_secs(15 * 60));
    let expected = vec![rule("status == 409", Class::Duplicate), rule("'429' in text", Class::Throttled(pause))];
    assert_eq!(valid(&text).destinations[0].rules, Rules::new(expected));
}

#[test]
fn what_is_wrong_with_a_rule_is_told() {
    let told = |rule: &str| only_problem(&format!("{MINIMAL}\n[[destination.crm.outcome]]\n{rule}\n"));
    assert_eq!(
        told("when = \"status == 200\"\nclass = \"sucess\""),
        "error: \"sucess\" | `class` has to be one of `success`, `duplicate`, `retry`, `throttled`, `reauth`, \
         `reject_event`, `stop_destination` | write `class = \"success\"`"
    );
    let flaw = told("when = \"status == 200 and )\"\nclass = \"retry\"");
    assert!(flaw.starts_with("error: ) | `when` is no condition: "), "{flaw}");
    assert_eq!(
        told("when = \"code == 200\"\nclass = \"retry\""),
        "error: code | nothing is called `code` here | there are `status`, `headers`, `body`, `text`"
    );
    assert_eq!(
        told("when = \"status == 200\"\nclass = \"retry\"\npause = \"5s\""),
        "error: pause | `pause` holds the whole destination, which only `class = \"throttled\"` does | leave it out, or \
         write `class = \"throttled\"`"
    );
    assert!(
        told("class = \"retry\"")
            .ends_with("has no `when` | write `when = \"status == 200 and 'HTTP error 429' in text\"`")
    );
    let single = only_problem(&format!("{MINIMAL}\n[destination.crm.outcome]\nclass = \"retry\"\n"));
    assert!(single.ends_with("write `[[destination.crm.outcome]]`"), "{single}");
}

#[test]
fn a_destination_can_want_the_events_of_a_call_in_their_order_and_fresh() {
    let text = line("order = \"call\"\nmax_age = \"2m\"").replace("to = [", "max_age = \"30s\"\nto = [");
    let config = valid(&text);
    assert_eq!(config.destinations[0].order, Order::Call);
    assert_eq!(config.destinations[0].max_age, Some(Duration::from_secs(120)));
    assert_eq!(config.routes.as_slice()[0].max_age, Some(Duration::from_secs(30)));
    let expected = "error: \"strict\" | `order` has to be `none` or `call` | write `order = \"call\"`";
    assert_eq!(only_problem(&line("order = \"strict\"")), expected);
}

#[test]
fn retries_that_outlast_what_the_destination_remembers_are_warned_about() {
    let expected = "warning: \"2h\" | the destination knows a repeated delivery for 2h, and it is tried for 3d: after that \
                    time it may get an event twice | shorten `give_up_after` in `retry`, or let a rule of `outcome` find out";
    assert_eq!(only_problem(&line("idempotency_window = \"2h\"")), expected);
    let short = line("idempotency_window = \"2h\"\nretry = { give_up_after = \"2h\" }");
    assert!(problems(&short).is_empty());
}
