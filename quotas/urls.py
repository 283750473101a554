from django.urls import path

from quotas import views

urlpatterns = [
    path("account/usage", views.usage, name="usage"),
    path("account/usage/now", views.usage_now, name="usage_now"),
    path("account/usage/zone", views.usage_zone, name="usage_zone"),
]
