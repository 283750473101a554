"""The inbox as pages: mails that a production site would send."""

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from dev import inbox


@require_safe
@never_cache
def inbox_page(request: HttpRequest) -> HttpResponse:
    """Mails that a production site would send."""
    return render(request, "pages/dev_inbox.html", {"inbox": inbox.newest()})


@require_safe
@never_cache
def message_page(request: HttpRequest, name: str) -> HttpResponse:
    """One mail of the development inbox."""
    message = inbox.find(name)
    if message is None:
        raise Http404
    return render(request, "pages/dev_message.html", {"message": message, "links": message.links})
