"""The admin is cut by what people come for, not by how the code is cut."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.models import Permission
from django.test import Client

from accounts.models import User
from config.administration.tasks import TASKS


def listed(client: Client) -> list[tuple[str, list[str]]]:
    """The tasks of the first page, with the models below each."""
    page = client.get("/admin/")
    tasks: list[dict[str, Any]] = page.context["app_list"]
    return [(task["name"], [shown["name"] for shown in task["models"]]) for task in tasks]


def test_every_model_has_its_place_and_every_place_its_model() -> None:
    placed = [label for task in TASKS for label in task.models]
    registered = {model._meta.label for model in admin.site._registry}
    assert sorted(placed) == sorted(registered)


def test_models_stand_below_tasks_in_the_order_that_was_chosen(admin_client: Client) -> None:
    tasks = dict(listed(admin_client))
    assert list(tasks) == ["Plans and prices", "Customers", "Money", "Machinery"]
    assert tasks["Plans and prices"] == [
        *("Plans", "Packs", "Products", "Prices at Stripe", "Price of a chat", "Meters", "Models"),
    ]
    assert tasks["Money"] == [
        *("Purchases", "Refunds", "Subscriptions", "Plan orders", "Customers at Stripe"),
        *("Auto top-ups", "Differences", "Checks of the books", "Credit ledger", "Boosts"),
    ]


def test_no_name_stands_twice(admin_client: Client) -> None:
    names = [name for task, models in listed(admin_client) for name in (task, *models)]
    assert len(names) == len(set(names))


def test_staff_see_the_tasks_of_what_they_may_see(client: Client, plans: None) -> None:
    staff = User.objects.create_user("staff@example.com", is_staff=True)
    staff.user_permissions.add(Permission.objects.get(codename="view_boost"))
    client.force_login(staff)
    assert listed(client) == [("Money", ["Boosts"])]


def test_a_page_says_which_task_it_belongs_to(admin_client: Client) -> None:
    page = admin_client.get("/admin/keys/servicetoken/").content.decode()
    assert '<a href="/admin/#machinery">Machinery</a>' in page
    assert 'id="machinery"' in admin_client.get("/admin/").content.decode()
