from django.urls import path

from accounts import audit_page, security_page, switching

urlpatterns = [
    path("teams/switch", switching.switch, name="team_switch"),
    path("teams/new", switching.new, name="team_new"),
    path("account/audit", audit_page.audit, name="audit"),
    path("account/security", security_page.security, name="security"),
    path("account/security/sessions/end", security_page.others_end, name="sessions_end"),
    path(
        "account/security/sessions/<int:session_id>/end",
        security_page.session_end,
        name="session_end",
    ),
    path("account/audit.csv", audit_page.audit_export, name="audit_export"),
]
