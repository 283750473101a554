from django.urls import path

from billing import views

urlpatterns = [
    path("account/billing", views.billing, name="billing"),
    path("account/billing/checkout", views.begin_checkout, name="checkout"),
    path("account/billing/cancelled", views.cancelled, name="billing_cancelled"),
    path("account/billing/credits", views.credit_list, name="credits"),
    path("account/billing/purchases", views.purchase_list, name="purchases"),
    path("account/billing/purchases/<uuid:purchase_id>", views.purchase, name="purchase"),
    path(
        "account/billing/purchases/<uuid:purchase_id>/continue",
        views.continue_purchase,
        name="purchase_continue",
    ),
    path(
        "account/billing/purchases/<uuid:purchase_id>/discard",
        views.discard_purchase,
        name="purchase_discard",
    ),
    path("account/billing/packs/<slug:slug>", views.pack_switch, name="pack_switch"),
]
