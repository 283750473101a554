"""Parts of pages that look the same wherever they stand. What they look like is in `partials/`."""

from typing import Any

from django import template
from django.template.loader import render_to_string
from django.utils.safestring import SafeString

from accounts.paging import ListPage

register = template.Library()


@register.simple_block_tag
def page_head(content: SafeString, heading: str) -> SafeString:
    """The head of a page that a tab or a link leads to: its heading, then what it is for."""
    context = {"heading": heading, "content": content}
    return render_to_string("partials/_page_head.html", context)


@register.simple_block_tag
def page_below(
    content: SafeString, *, up: str, url: str, here: str, narrow: bool = False
) -> SafeString:
    """The head of a page below another one: the way back `up`, then its heading and words.

    narrow: where the page around it is wider than lines are easy to read.
    """
    context = {"up": up, "up_url": url, "here": here, "narrow": narrow, "content": content}
    return render_to_string("partials/_page_below.html", context)


@register.simple_block_tag
def nothing_here(content: SafeString, heading: str, *, level: int = 3) -> SafeString:
    """What stands where a list would: that there is nothing yet, and what would be there."""
    context = {"heading": heading, "level": level, "content": content}
    return render_to_string("partials/_nothing_here.html", context)


@register.simple_block_tag
def table(
    content: SafeString,
    *columns: str,
    end: str | int = "",
    unseen: str = "",
    caption: str = "",
    stacked: bool = False,
) -> SafeString:
    """A table with these columns around its rows.

    end: the column of numbers by its name, or by its place the first of some, up to the last; they
    end at the right. unseen: the column whose name is only read out. caption: read out, too.
    stacked: on a phone each row becomes a block, in which cells are named by their `data-label`.
    """
    context = {
        "columns": [
            (name, place >= end if isinstance(end, int) else name == end, name == unseen)
            for place, name in enumerate(columns, start=1)
        ],
        "caption": caption,
        "stacked": stacked,
        "content": content,
    }
    return render_to_string("partials/_table.html", context)


@register.inclusion_tag("partials/_list_pages.html")
def list_pages(page: ListPage[object], *, url: str, label: str, level: int = 3) -> dict[str, Any]:
    """The ways to the other pages of a list at this address; of a lost page, the way back.

    label: what is listed, which tells several lists of a page apart when they are read out. level:
    of the heading of a lost page.
    """
    return {"page": page, "url": url, "label": label, "level": level}
