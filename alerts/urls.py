from django.urls import path

from alerts import views

urlpatterns = [
    path("account/alerts", views.alerts, name="alerts"),
    path("account/alerts/settings", views.alerts_settings, name="alerts_settings"),
    path("account/alerts/mail", views.alerts_mail, name="alerts_mail"),
    path("account/alerts/webhooks", views.webhook_add, name="webhook_add"),
    path("account/alerts/webhooks/<uuid:webhook_id>", views.webhook, name="webhook"),
    path(
        "account/alerts/webhooks/<uuid:webhook_id>/secret",
        views.webhook_rotate,
        name="webhook_rotate",
    ),
    path(
        "account/alerts/webhooks/<uuid:webhook_id>/remove",
        views.webhook_remove,
        name="webhook_remove",
    ),
    path("account/alerts/webhooks/<uuid:webhook_id>/test", views.webhook_test, name="webhook_test"),
    path(
        "account/alerts/deliveries/<int:delivery_id>/resend",
        views.delivery_resend,
        name="delivery_resend",
    ),
]
