from __future__ import annotations

import json
from urllib.parse import parse_qs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from history_tools import an_alert
from ironpost_core import Alert, Key, Observable
from ironpost_daemon.sinks.template import NAMES, Template

JSON = "application/json"


def test_slack_and_discord_shapes() -> None:
    alert = an_alert(title='say "hi"\\', host="web1")
    slack = Template('{"text": "${severity}: ${title} on ${host} from ${source_ip}"}', JSON)
    discord = Template('{"content": "${title}", "allowed_mentions": {"parse": []}}', JSON)
    assert json.loads(slack.render(alert)) == {"text": 'high: say "hi"\\ on web1 from 203.0.113.7'}
    assert json.loads(discord.render(alert))["content"] == 'say "hi"\\'


def test_the_whole_alert_numbers_and_a_literal_dollar() -> None:
    alert = an_alert(count=7)
    made = json.loads(Template('{"a": ${alert}, "n": ${count}, "price": "$$5"}', JSON).render(alert))
    assert Alert.from_dict(made["a"]) == alert
    assert (made["n"], made["price"]) == (7, "$5")


def test_what_an_alert_lacks_is_empty() -> None:
    made = json.loads(Template('{"u": "${user}", "f": "${first_seen}"}', JSON).render(an_alert()))
    assert made == {"u": "", "f": ""}


def test_a_value_is_never_taken_for_a_template() -> None:
    made = json.loads(Template('{"t": "${title}"}', JSON).render(an_alert(title="${message} $$ ${nonsense}")))
    assert made == {"t": "${message} $$ ${nonsense}"}


@given(st.text(), st.text(min_size=1), st.text())
def test_no_alert_breaks_out_of_json(title: str, user: str, rule: str) -> None:
    template = Template(
        "{" + ", ".join(f'"{name}": "${{{name}}}"' for name in NAMES) + "}", "text/x+json; charset=utf-8"
    )
    alert = an_alert(title=title, rule=rule, host=rule, observables=[Observable(Key.USER, user)], evidence=[title])
    made = json.loads(template.render(alert))
    assert list(made) == list(NAMES)
    assert made["title"] == alert.title
    assert made["user"] == alert.observable(Key.USER)


def test_no_alert_adds_a_field_to_a_form() -> None:
    body = Template("text=${title}&to=ops", "application/x-www-form-urlencoded").render(an_alert(title="x&to=attacker"))
    assert parse_qs(body.decode()) == {"text": ["x&to=attacker"], "to": ["ops"]}


def test_markup_can_be_made_harmless() -> None:
    body = Template("${title}", "text/plain", "html").render(an_alert(title="<!channel> & all"))
    assert body == b"&lt;!channel&gt; &amp; all"


@pytest.mark.parametrize(
    ("text", "content_type", "message"),
    [
        ('{"a": "${titel}"}', JSON, r'unknown placeholder \$\{titel\}; did you mean "title"'),
        ('{"a": "${zzzz}"}', JSON, "known are id, time"),
        ('{"a": "$title"}', JSON, "stray"),
        ('{"a": "5$"}', JSON, "character 9"),
        ('{"a": ${title}}', JSON, "put placeholders in quotes"),
        ('{"a": ', JSON, "does not give JSON"),
        ("${alert}", "text/plain", "unknown placeholder"),
    ],
)
def test_a_broken_template_is_refused(text: str, content_type: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Template(text, content_type)
