"""Parts that pages share: each is written once, and what is put into it is escaped."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.template import Context, Template

from tests.site.test_html import Page


def rendered(text: str, **context: object) -> str:
    return Template("{% load display page_parts %}" + text).render(Context(context))


def squeezed(html: str) -> str:
    return re.sub(r"\s+(?=scope)", " ", "".join(line.strip() for line in html.splitlines()))


def test_a_table_names_its_columns_once() -> None:
    html = squeezed(
        rendered(
            '{% table "Name" "Cost" "Do" end="Cost" unseen="Do" caption="All" stacked=True %}'
            "<tr><td>{{ it }}</td></tr>{% endtable %}",
            it="a & b",
        )
    )
    assert html == (
        '<table class="table stacked"><caption class="visually-hidden">All</caption><thead><tr>'
        '<th scope="col">Name</th><th class="end" scope="col">Cost</th>'
        '<th scope="col"><span class="visually-hidden">Do</span></th>'
        "</tr></thead><tbody><tr><td>a &amp; b</td></tr></tbody></table>"
    )


def test_numbers_of_a_table_may_begin_at_a_column() -> None:
    html = squeezed(rendered('{% table _("Name") _("In") _("Out") end=2 %}{% endtable %}'))
    assert (
        '<th scope="col">Name</th><th class="end" scope="col">In</th>'
        '<th class="end" scope="col">Out</th>'
    ) in html


@pytest.mark.parametrize(
    "part",
    [
        "{% page_head evil %}{{ evil }}{% endpage_head %}",
        '{% page_below up=evil url="/up" here=evil %}{{ evil }}{% endpage_below %}',
        "{% nothing_here evil %}{{ evil }}{% endnothing_here %}",
        "{% table evil evil %}{{ evil }}{% endtable %}",
    ],
)
def test_what_people_wrote_is_escaped_in_every_part(part: str) -> None:
    html = rendered(part, evil="<script>alert(1)</script>")
    assert "&lt;script&gt;" in html
    assert Page(html).offences == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{{ 1|chats }}, {{ 0|chats }}, {{ 1500|chats }}", "1 chat, 0 chats, 1,500 chats"),
        ("{{ 1|credits }}, {{ 2|credits }}", "1 credit, 2 credits"),
        ("{{ 1500|or_unlimited }}, {{ None|or_unlimited }}", "1,500, Unlimited"),
    ],
)
def test_chats_and_money_read_alike_everywhere(text: str, words: str) -> None:
    assert rendered(text) == words


NOW = datetime(2031, 3, 5, 12, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("away", "words"),
    [
        (timedelta(), "just now"),
        (timedelta(seconds=-59), "just now"),
        (timedelta(seconds=59), "in a moment"),
        (timedelta(minutes=-1), "1 minute ago"),
        (timedelta(minutes=-59, seconds=-59), "59 minutes ago"),
        (timedelta(hours=-3), "3 hours ago"),
        (timedelta(hours=1), "in 1 hour"),
        (timedelta(days=2, hours=5), "in 2 days"),
        (timedelta(days=-30), "30 days ago"),
        (timedelta(days=-31), "2 Feb 2031"),
        (timedelta(days=400), "8 Apr 2032"),
    ],
)
def test_a_moment_is_told_from_now_with_the_exact_one_in_the_title(
    away: timedelta, words: str
) -> None:
    moment = NOW + away
    html = rendered("{% ago moment now %}", moment=moment, now=NOW)
    exact = f"{moment:%-d %b %Y, %H:%M} UTC"
    told = f'datetime="{moment.isoformat()}" title="{exact}" data-exact="{exact}"'
    assert html == f"<time {told}>{words}</time>"
