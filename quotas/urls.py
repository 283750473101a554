from django.urls import path, re_path

from quotas import (
    invitation_page,
    keys_for_programs,
    member_budgets,
    requests_page,
    spending_page,
    team_page,
    usage_for_programs,
    views,
)

urlpatterns = [
    path("account/team", team_page.team, name="team"),
    path("account/team/name", team_page.rename, name="team_rename"),
    path("account/team/invitations", team_page.invite, name="team_invite"),
    path(
        "account/team/invitations/<int:invitation_id>/again",
        team_page.invite_again,
        name="team_invite_again",
    ),
    path(
        "account/team/invitations/<int:invitation_id>/withdraw",
        team_page.withdraw,
        name="team_withdraw",
    ),
    path("account/team/members/<int:user_id>", team_page.member, name="team_member"),
    path("account/team/members/<int:user_id>/remove", team_page.remove, name="team_remove"),
    path("account/team/members/<int:user_id>/owner", team_page.hand_over, name="team_hand_over"),
    path("account/team/members/<int:user_id>/budget", member_budgets.of_member, name="team_budget"),
    path("account/team/budget", member_budgets.of_new_members, name="team_new_budget"),
    path("account/team/leave", team_page.leave, name="team_leave"),
    path("invitations/<str:secret>", invitation_page.opened, name="invitation_open"),
    path("invitation", invitation_page.invitation, name="invitation"),
    path("invitation/accept", invitation_page.accept, name="invitation_accept"),
    path("invitation/decline", invitation_page.decline, name="invitation_decline"),
    path("api/v1/usage", usage_for_programs.usage, name="usage_for_programs"),
    path("api/v1/keys", keys_for_programs.keys, name="keys_for_programs"),
    path("api/v1/keys/<int:key_id>", keys_for_programs.key, name="key_for_programs"),
    path(
        "api/v1/keys/<int:key_id>/rotate",
        keys_for_programs.key_rotate,
        name="key_rotate_for_programs",
    ),
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
