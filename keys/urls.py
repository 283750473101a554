from django.urls import path

from keys import leak_reports, several_page, views

urlpatterns = [
    path("keys/v1/leaks", leak_reports.report, name="leaks"),
    path("account/keys", views.key_list, name="keys"),
    path("account/keys/new", views.key_create, name="key_create"),
    path("account/keys/several", several_page.several, name="keys_several"),
    path("account/keys/<int:key_id>", views.key_edit, name="key_edit"),
    path("account/keys/<int:key_id>/switch", views.key_switch, name="key_switch"),
    path("account/keys/<int:key_id>/rotate", views.key_rotate, name="key_rotate"),
    path("account/keys/<int:key_id>/rotate/end", views.key_former_end, name="key_former_end"),
    path("account/keys/<int:key_id>/revoke", views.key_revoke, name="key_revoke"),
]
