from django.urls import path, re_path

from quotas import keys_for_programs, requests_page, spending_page, usage_for_programs, views

urlpatterns = [
    path("api/v1/usage", usage_for_programs.usage, name="usage_for_programs"),
    path("api/v1/keys", keys_for_programs.keys, name="keys_for_programs"),
    path("api/v1/keys/<int:key_id>", keys_for_programs.key, name="key_for_programs"),
    path(
        "api/v1/keys/<int:key_id>/revoke",
        keys_for_programs.key_revoke,
        name="key_revoke_for_programs",
    ),
    path("account/usage", views.usage, name="usage"),
    path("account/usage/now", views.usage_now, name="usage_now"),
    re_path(r"^account/usage/export\.(?P<kind>csv|json)$", views.usage_export, name="usage_export"),
    path("account/usage/zone", views.usage_zone, name="usage_zone"),
    path("account/billing/spending", spending_page.of_account, name="spending"),
    path("account/keys/<int:key_id>/spending", spending_page.of_key, name="key_spending"),
    path("account/usage/requests", requests_page.requests, name="usage_requests"),
]
