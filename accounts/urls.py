from django.urls import path

from accounts import audit_page, security_page

urlpatterns = [
    path("account/audit", audit_page.audit, name="audit"),
    path("account/security", security_page.security, name="security"),
    path("account/audit.csv", audit_page.audit_export, name="audit_export"),
]
