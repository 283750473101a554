from django.urls import path

from billing import closing_page, own_data_page, views
from billing.subscriptions import views as plans
from billing.top_ups import views as top_ups

urlpatterns = [
    path("account/close", closing_page.close, name="close_account"),
    path("account/security/close", closing_page.close_person, name="close_person"),
    path("account/data.json", own_data_page.of_account, name="data_of_account"),
    path("account/security/data.json", own_data_page.of_person, name="data_of_person"),
    path("account/billing", views.billing, name="billing"),
    path("account/billing/amount", views.amount, name="amount"),
    path("account/billing/checkout", views.begin_checkout, name="checkout"),
    path("account/billing/cancelled", views.cancelled, name="billing_cancelled"),
    path("account/billing/credits", views.credit_list, name="credits"),
    path("account/billing/plans/end", plans.plan_end, name="plan_end"),
    path("account/billing/plans/resume", plans.plan_resume, name="plan_resume"),
    path("account/billing/plans/orders/<uuid:order_id>", plans.plan_order, name="plan_order"),
    path("account/billing/plans/<slug:slug>", plans.plan_choice, name="plan_choice"),
    path("account/billing/portal", plans.customer_portal, name="customer_portal"),
    path("account/billing/credits.csv", views.credits_export, name="credits_export"),
    path("account/billing/purchases.csv", views.purchases_export, name="purchases_export"),
    path("account/billing/top-up", top_ups.top_up, name="top_up"),
    path("account/billing/top-up/card", top_ups.top_up_card, name="top_up_card"),
    path("account/billing/top-up/off", top_ups.top_up_off, name="top_up_off"),
    path("account/billing/top-up/saved", top_ups.top_up_saved, name="top_up_saved"),
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
