from django import template

from billing.models import Purchase

register = template.Library()


@register.simple_tag
def open_purchase_alarms() -> int:
    """How many purchases wait for a person."""
    return Purchase.objects.alarms().count()
